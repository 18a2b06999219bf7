// Saving the shown map.
import { displayName, escapeFormula, isGroup } from "./format.js";
import { svg as element } from "./svg.js";

/**
 * Each writer returns a text of {nodes, links}; those of DOT, Mermaid and CSV write what /v1/graph.dot and its like do. How many
 * connections there were at a time that is past is not known, and left out.
 */
export const writers = { dot, mermaid, csv, json };

/** types are the content types and ends of names of files. */
export const types = {
  dot: ["text/vnd.graphviz", "dot"], mermaid: ["text/vnd.mermaid", "mmd"], csv: ["text/csv", "csv"], json: ["application/json", "json"],
  svg: ["image/svg+xml", "svg"], png: ["image/png", "png"],
};

const indexes = (nodes) => new Map(nodes.map((n, i) => [n.id, i]));
const label = (l) => l.port + (l.connections > 1 ? ` ×${l.connections}` : "");

/** byHost writes a line for each node, those of a host between what begins and what ends its group. */
function byHost(nodes, begin, line, end) {
  const hosts = Map.groupBy(nodes.map((n, i) => [n, i]), ([n]) => n.host || "");
  return [...hosts].flatMap(([host, members], i) => host
    ? [`  ${begin(i, host)}`, ...members.map(([n, j]) => `    ${line(j, n)}`), `  ${end}`]
    : members.map(([n, j]) => `  ${line(j, n)}`));
}

function dot({ nodes, links }) {
  const quoted = (text) => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replace(/[\n\r\0]/g, " ")}"`;
  const shape = { external: ", shape=ellipse", ambiguous: ", shape=diamond" };
  const at = indexes(nodes);
  return ["digraph outpost {", "  rankdir=LR;", "  node [shape=box];",
    ...byHost(nodes, (i, host) => `subgraph cluster_${i} {\n    label=${quoted(host)};`, (i, n) => `n${i} [label=${quoted(displayName(n))}${shape[n.kind] || ""}];`, "}"),
    ...links.map((l) => `  n${at.get(l.client)} -> n${at.get(l.server)} [label=${quoted(label(l))}${l.live ? "" : ", color=gray"}${l.evidence === "both" ? "" : ", style=dashed"}];`),
    "}", ""].join("\n");
}

function mermaid({ nodes, links }) {
  // What Mermaid or a browser might read as markup is written as its character's number.
  const quoted = (text) => `"${[...text].map((c) => (c < " " ? " " : "\"<>&#;`\\[]{}|".includes(c) ? `#${c.codePointAt(0)};` : c)).join("")}"`;
  const shapes = { external: ["([", "])"], ambiguous: ["{", "}"] };
  const at = indexes(nodes);
  const line = (i, n) => {
    const [left, right] = shapes[n.kind] || ["[", "]"];
    return `n${i}${left}${quoted(displayName(n))}${right}`;
  };
  return ["flowchart LR", ...byHost(nodes, (i, host) => `subgraph h${i}[${quoted(host)}]`, line, "end"),
    ...links.map((l) => `  n${at.get(l.client)} ${l.evidence === "both" && l.live ? "-->" : "-.->"}|${quoted(label(l))}| n${at.get(l.server)}`), ""].join("\n");
}

function csv({ nodes, links }) {
  const quoted = (text) => (/^\s|["\n\r,]/.test(text) || text === "\\." ? `"${text.replaceAll('"', '""')}"` : text);
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const second = (time) => time.replace(/\.\d+Z$/, "Z");
  const rows = links.map((l) => {
    const client = byID.get(l.client), server = byID.get(l.server);
    const counts = l.countsUnknown ? ["", ""] : [l.connections, l.closed];
    return [client.kind, escapeFormula(client.host), escapeFormula(client.name), server.kind, escapeFormula(server.host), escapeFormula(server.name),
      l.port, l.via, l.evidence, ...counts, l.live, second(l.firstSeen), second(l.lastSeen)];
  });
  const head = "client_kind client_host client server_kind server_host server port via evidence connections closed live first_seen last_seen".split(" ");
  return [head, ...rows].map((row) => row.map((cell) => quoted(String(cell))).join(",") + "\n").join("");
}

/** json writes the shown graph in the format of /v1/graph. at is its time, empty for now. */
function json({ nodes, links }, graph, at) {
  const pageOnly = ["members", "inside", "unread", "level", "past", "publishes"];
  const clean = nodes.map((n) => (isGroup(n) ? Object.fromEntries(Object.entries(n).filter(([name]) => !pageOnly.includes(name))) : n));
  const counted = links.map(({ newLinks, countsUnknown, ...l }) => (countsUnknown ? { ...l, connections: undefined, closed: undefined } : l));
  return JSON.stringify({ ...graph, at: at || undefined, nodes: clean, links: counted }, null, 2) + "\n";
}

/** exportSVG returns the drawing as a self-contained SVG file with the current colours. */
export function exportSVG(svg) {
  const copy = svg.cloneNode(true);
  copy.removeAttribute("style");
  copy.setAttribute("class", "drawing-root");
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
  for (const node of copy.querySelectorAll("[tabindex]")) node.removeAttribute("tabindex");
  copy.prepend(element("title", {}, "Outpost: who talks to whom"), element("style", {}, resolvedRules()), element("rect", { class: "ground", width: "100%", height: "100%" }));
  return new XMLSerializer().serializeToString(copy).replace(invalidInXML, "\ufffd");
}

/** invalidInXML are the characters that XML forbids: XMLSerializer does not check. */
const invalidInXML = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** resolvedRules returns the rules of drawing.css with the current values of the page's variables. */
function resolvedRules() {
  const sheet = document.getElementById("drawing").sheet;
  const text = [...sheet.cssRules].map((r) => r.cssText).join("\n");
  const probe = document.createElement("span");
  document.body.append(probe);
  const values = new Map();
  const resolved = text.replace(/var\((--[\w-]+)\)/g, (_, name) => {
    if (!values.has(name)) {
      const value = getComputedStyle(document.documentElement).getPropertyValue(name);
      probe.style.color = "";
      probe.style.color = value;
      values.set(name, probe.style.color ? getComputedStyle(probe).color : value);
    }
    return values.get(name);
  });
  probe.remove();
  return resolved;
}

const maxSide = 8000; // px: browsers draw no larger pictures

/** exportPNG renders an SVG file as PNG, in double resolution if that is not too large. */
export async function exportPNG(drawing) {
  const address = URL.createObjectURL(new Blob([drawing], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const { naturalWidth: w, naturalHeight: h } = image;
    const scale = Math.min(2, maxSide / w, maxSide / h);
    const canvas = Object.assign(document.createElement("canvas"), { width: Math.ceil(w * scale), height: Math.ceil(h * scale) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** download saves a file to the user's disk. */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
