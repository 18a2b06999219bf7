// The scene: the nodes, boxes, lines and port badges to draw, with their texts and sizes, before the layout places them.
import { displayName, formatCount, formatNumber, isGroup, nodeID, publishedPorts, formatSubtitle, truncate } from "./format.js";
import { linkKey } from "./view.js";

const nodeHeight = 42, maxNameLength = 30;
const canvas = document.createElement("canvas").getContext("2d");
const fonts = { name: "600 13px ", small: "11px ", label: "12px ", large: "600 17px " };

/** fontFamily returns the font of the page: texts are measured as they are drawn. */
const fontFamily = () => getComputedStyle(document.documentElement).getPropertyValue("--sans");

const widths = new Map(); // of measured texts

function measure(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    if (widths.size > 50_000) widths.clear();
    canvas.font = fonts[font] + fontFamily();
    widths.set(key, canvas.measureText(text).width);
  }
  return widths.get(key);
}

/** buildScene returns the scene of a view; hiddenPorts is the number of published ports without a badge. */
export function buildScene(shown) {
  const sides = chooseSides(shown);
  const nodes = shown.nodes.map((node) => buildNode(node, sides.get(node.id)));
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const boxes = new Map();
  for (const n of nodes) n.boxes.forEach((id, i) => boxes.set(id, boxes.get(id) || buildBox(id, i, n.node)));
  const hiddenPorts = shown.nodes.filter((n) => isGroup(n) && !hasHostBox(n)).reduce((sum, n) => sum + n.publishes.size, 0);
  return { nodes, byID, boxes: [...boxes.values()], lines: buildLines(shown, byID), badges: buildPortBadges(shown.nodes), hiddenPorts };
}

function buildNode(node, side) {
  const name = truncate(displayName(node), maxNameLength), subtitle = truncate(formatSubtitle(node), maxNameLength + 4);
  const sign = node.reason || node.incomplete ? 20 : 0; // room for the sign of incomplete containers
  const w = Math.ceil(Math.max(70, measure(name, "name") + 20 + sign, measure(subtitle, "small") + 20));
  return { id: node.id, node, name, large: fitText(displayName(node), w - 6), subtitle, w, h: nodeHeight, boxes: enclosingBoxes(node), side, flags: nodeFlags(node) };
}

/** fitText truncates a name to a width in large letters. */
function fitText(name, width) {
  const length = Math.max(4, Math.floor(name.length * Math.min(1, width / measure(name, "large"))));
  return truncate(name, length);
}

function nodeFlags(node) {
  return [node.kind, isGroup(node) && "group", node.reason || node.incomplete ? "incomplete" : "", node.stale && "stale", node.past && "past"].filter(Boolean);
}

/** enclosingBoxes returns the IDs of the boxes around a node, the outermost first. */
function enclosingBoxes(node) {
  const { kind, host, project } = node;
  const inProject = project && kind !== "project";
  if (!host || kind === "ambiguous" || kind === "unknown") return inProject ? [`box ${nodeID("project", project)}`] : [];
  if (isGroup(node) && kind === "host") return [];
  const outer = `box ${nodeID("host", host)}`;
  return inProject ? [outer, `${outer} ${nodeID("project", project)}`] : [outer];
}

function buildBox(id, depth, node) {
  const isHost = depth === 0 && !!node.host;
  const name = isHost ? node.host : node.project;
  return { id, kind: isHost ? "host" : "project", name, label: truncate(name, 40), closes: isHost ? nodeID("host", node.host) : nodeID("project", node.project) };
}

/** chooseSides returns the edges of external addresses: clients at the left, servers at the right. */
function chooseSides({ nodes, links }) {
  const balance = new Map(); // links as server less links as client
  for (const { client, server } of links) {
    balance.set(client, (balance.get(client) || 0) - 1);
    balance.set(server, (balance.get(server) || 0) + 1);
  }
  const atEdge = (n) => n.kind === "external" || (n.kind === "ambiguous" && !n.host);
  return new Map(nodes.filter(atEdge).map((n) => [n.id, balance.get(n.id) > 0 ? "right" : "left"]));
}

/** buildLines returns one line for each client and server, whatever the ports. */
function buildLines({ links }, byID) {
  const lines = new Map();
  for (const link of links) {
    if (link.client === link.server && isGroup(byID.get(link.client).node)) continue; // the subtitle of the group counts them
    const id = `${link.client} ${link.server}`;
    const line = lines.get(id);
    if (line) line.links.push(link);
    else lines.set(id, { id, from: link.client, to: link.server, links: [link] });
  }
  for (const line of lines.values()) Object.assign(line, lineStyle(line, byID));
  return [...lines.values()];
}

function lineStyle({ links, from, to }, byID) {
  const live = links.filter((l) => l.live);
  const counted = live.length ? live : links;
  const connections = counted.reduce((sum, l) => sum + l.connections, 0);
  const isStale = byID.get(from).node.stale || byID.get(to).node.stale;
  const flags = [
    !live.length && "past", counted.every((l) => l.evidence !== "both") && "one-sided", isStale && "stale",
    links.some((l) => l.newLinks) && "new",
  ].filter(Boolean);
  const label = lineLabel(counted, connections);
  return { flags, label, labelWidth: measure(label, "label") + 8, width: 1.3 + Math.min(3.7, Math.log2(Math.max(1, connections)) * 0.5), keys: links.map(linkKey) };
}

function lineLabel(links, connections) {
  const ports = new Map();
  for (const l of links) ports.set(l.port, (ports.get(l.port) || 0) + l.connections);
  if (ports.size > 2) return `${formatNumber(ports.size)} ports` + (connections ? ` ×${formatNumber(connections)}` : "");
  return [...ports].map(([port, n]) => port + (n > 1 ? ` ×${formatNumber(n)}` : "")).join(", ");
}

const maxPortBadges = 3; // of a group; more ports share one badge

/** buildPortBadges returns a badge for each port that a host publishes, with the nodes that it leads to. */
function buildPortBadges(nodes) {
  const badges = new Map();
  for (const node of nodes.filter(hasHostBox)) {
    const ports = publishedPorts(node);
    const labels = isGroup(node) && ports.length > maxPortBadges ? [`:${ports[0]} +${ports.length - 1}`] : ports.map((port) => `:${port}`);
    for (const label of labels) {
      const id = `port ${node.host} ${label}`;
      const badge = badges.get(id) || { id, box: `box ${nodeID("host", node.host)}`, label, w: Math.ceil(measure(label, "small")) + 12, to: new Set() };
      badge.to.add(node.id);
      badges.set(id, badge);
    }
  }
  return [...badges.values()];
}

/** hasHostBox reports whether a node is in the box of a host, which carries the port badges. */
const hasHostBox = (node) => !!node.host && !node.past && enclosingBoxes(node).length > 0;

/** describe returns one line about a node for screen readers. */
export function describe(n) {
  const parts = [displayName(n.node), formatSubtitle(n.node)];
  if (n.node.host && n.node.kind !== "host") parts.push(`on ${n.node.host}`);
  if (n.node.reason) parts.push(n.node.reason);
  if (n.node.incomplete) parts.push(formatCount(n.node.incomplete, "container") + " incomplete");
  if (n.node.stale) parts.push("its data is not current");
  if (n.node.past) parts.push("past");
  return parts.filter(Boolean).join(", ");
}

