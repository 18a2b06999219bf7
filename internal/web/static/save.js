// Saving the shown map: pictures and the shown data are made here, the other formats by the server.
import { isGroup } from "./format.js";
import { request } from "./request.js";
import { svg as element } from "./svg.js";
import { exportQuery } from "./view.js";

/** types are the content types and file extensions of the formats. */
export const types = {
  dot: ["text/vnd.graphviz", "dot"], mermaid: ["text/vnd.mermaid", "mmd"], csv: ["text/csv", "csv"], json: ["application/json", "json"],
  svg: ["image/svg+xml", "svg"], png: ["image/png", "png"],
};

/** fetchExport returns the shown view as the server writes it: as of now, also while the page is paused. */
export async function fetchExport(kind, base, view, shown) {
  const response = await request(new URL(`../v1/graph.${types[kind][1]}?${exportQuery(view, shown)}`, base));
  if (response.ok) return response.text();
  const answer = await response.json().catch(() => null);
  throw new Error(answer?.error || `status ${response.status}`);
}

/** exportJSON writes the shown graph in the format of /v1/graph. at is its time, empty for now. */
export function exportJSON({ nodes, links }, graph, at) {
  const pageOnly = ["members", "inside", "incomplete", "level", "past", "publishes", "newMembers", "goneMembers", "replacedMembers", "newInside", "goneInside"];
  const clean = nodes.map(({ replaced, ...n }) => (isGroup(n) ? Object.fromEntries(Object.entries(n).filter(([name]) => !pageOnly.includes(name))) : n));
  const counted = links.map(({ newLinks, goneLinks, countsUnknown, ...l }) => ({ ...l, ...(newLinks && { new: true }), ...(goneLinks && { gone: true }), ...(countsUnknown && { connections: undefined, closed: undefined }) }));
  return JSON.stringify({ ...graph, at: at || undefined, nodes: clean, links: counted }, null, 2) + "\n";
}

/** exportSVG returns the drawing as a self-contained SVG file in light colours, as on paper. */
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

/** resolvedRules returns the rules of drawing.css with the light values of the page's variables. */
function resolvedRules() {
  const sheet = document.getElementById("drawing").sheet;
  const text = [...sheet.cssRules].map((r) => r.cssText).join("\n");
  const probe = document.createElement("span");
  probe.style.colorScheme = "light";
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

/** exportPNG renders an SVG file as PNG, in double resolution, or in less so that no side exceeds maxSide. */
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
