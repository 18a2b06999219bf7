// What a map is drawn of: nodes, boxes, lines and plates, all with their texts, before anything has a place.
import { clip, count, idOf, isGroup, nameOf, number, portsOf, subtitleOf } from "./names.js";
import { keyOf } from "./view.js";

const nodeHeight = 42, longest = 30;
const canvas = document.createElement("canvas").getContext("2d");
const fonts = { name: "600 13px ", small: "11px ", label: "12px ", large: "600 17px " };

/** family is the page's, so that what is measured here is what is drawn. */
const family = () => getComputedStyle(document.documentElement).getPropertyValue("--sans");

const widths = new Map(); // of texts that were measured

function measure(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    if (widths.size > 50_000) widths.clear();
    canvas.font = fonts[font] + family();
    widths.set(key, canvas.measureText(text).width);
  }
  return widths.get(key);
}

/** pictureOf returns what there is to draw of what is shown; unseen is how many published ports are not in it. */
export function pictureOf(shown) {
  const sides = sidesOf(shown);
  const nodes = shown.nodes.map((node) => drawn(node, sides.get(node.id)));
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const boxes = new Map();
  for (const n of nodes) n.boxes.forEach((id, i) => boxes.set(id, boxes.get(id) || boxOf(id, i, n.node)));
  const unseen = shown.nodes.filter((n) => isGroup(n) && !hasWall(n)).reduce((sum, n) => sum + n.publishes.size, 0);
  return { nodes, byID, boxes: [...boxes.values()], lines: linesOf(shown, byID), plates: platesOf(shown.nodes), unseen };
}

function drawn(node, side) {
  const name = clip(nameOf(node), longest), subtitle = clip(subtitleOf(node), longest + 4);
  const badge = node.reason || node.unread ? 20 : 0;
  const w = Math.ceil(Math.max(70, measure(name, "name") + 20 + badge, measure(subtitle, "small") + 20));
  return { id: node.id, node, name, large: fitting(nameOf(node), w - 6), subtitle, w, h: nodeHeight, boxes: boxesAround(node), side, flags: flagsOf(node) };
}

/** fitting is a name so short that it fits a width in large letters. */
function fitting(name, width) {
  const length = Math.max(4, Math.floor(name.length * Math.min(1, width / measure(name, "large"))));
  return clip(name, length);
}

function flagsOf(node) {
  return [node.kind, isGroup(node) && "group", node.reason || node.unread ? "unread" : "", node.stale && "stale", node.past && "past"].filter(Boolean);
}

/** boxesAround are the IDs of the boxes that a node is in, the outermost first. */
function boxesAround(node) {
  const { kind, host, project } = node;
  const inProject = project && kind !== "project";
  if (!host || kind === "ambiguous") return inProject ? [`box ${idOf("project", project)}`] : [];
  if (isGroup(node) && kind === "host") return [];
  const outer = `box ${idOf("host", host)}`;
  return inProject ? [outer, `${outer} ${idOf("project", project)}`] : [outer];
}

function boxOf(id, depth, node) {
  const isHost = depth === 0 && !!node.host;
  const name = isHost ? node.host : node.project;
  return { id, kind: isHost ? "host" : "project", name, label: clip(name, 40), closes: isHost ? idOf("host", node.host) : idOf("project", node.project) };
}

/** sidesOf says at which edge external addresses stand: those that call at the left, those that are called at the right. */
function sidesOf({ nodes, links }) {
  const called = new Map();
  for (const { client, server } of links) {
    called.set(client, (called.get(client) || 0) - 1);
    called.set(server, (called.get(server) || 0) + 1);
  }
  const atEdge = (n) => n.kind === "external" || (n.kind === "ambiguous" && !n.host);
  return new Map(nodes.filter(atEdge).map((n) => [n.id, called.get(n.id) > 0 ? "right" : "left"]));
}

/** linesOf returns a line for each pair of nodes that are linked, whatever the ports. */
function linesOf({ links }, byID) {
  const lines = new Map();
  for (const link of links) {
    if (link.client === link.server && isGroup(byID.get(link.client).node)) continue; // its subtitle tells
    const id = `${link.client} ${link.server}`;
    const line = lines.get(id);
    if (line) line.links.push(link);
    else lines.set(id, { id, from: link.client, to: link.server, links: [link] });
  }
  for (const line of lines.values()) Object.assign(line, looksOf(line, byID));
  return [...lines.values()];
}

function looksOf({ links, from, to }, byID) {
  const live = links.filter((l) => l.live);
  const counted = live.length ? live : links;
  const connections = counted.reduce((sum, l) => sum + l.connections, 0);
  const isStale = byID.get(from).node.stale || byID.get(to).node.stale;
  const flags = [
    !live.length && "past", counted.every((l) => l.evidence !== "both") && "half", isStale && "stale",
    links.some((l) => l.fresh) && "new",
  ].filter(Boolean);
  const label = labelOf(counted, connections);
  return { flags, label, labelWidth: measure(label, "label") + 8, width: 1.3 + Math.min(3.7, Math.log2(Math.max(1, connections)) * 0.5), keys: links.map(keyOf) };
}

function labelOf(links, connections) {
  const ports = new Map();
  for (const l of links) ports.set(l.port, (ports.get(l.port) || 0) + l.connections);
  if (ports.size > 2) return `${number(ports.size)} ports` + (connections ? ` ×${number(connections)}` : "");
  return [...ports].map(([port, n]) => port + (n > 1 ? ` ×${number(n)}` : "")).join(", ");
}

const mostPlates = 3; // of a group; of more ports one plate tells

/** platesOf returns the ports that hosts publish, each with what is reached there. */
function platesOf(nodes) {
  const plates = new Map();
  for (const node of nodes.filter(hasWall)) {
    const ports = portsOf(node);
    const labels = isGroup(node) && ports.length > mostPlates ? [`:${ports[0]} +${ports.length - 1}`] : ports.map((port) => `:${port}`);
    for (const label of labels) {
      const id = `plate ${node.host} ${label}`;
      const plate = plates.get(id) || { id, box: `box ${idOf("host", node.host)}`, label, w: Math.ceil(measure(label, "small")) + 12, to: new Set() };
      plate.to.add(node.id);
      plates.set(id, plate);
    }
  }
  return [...plates.values()];
}

/** hasWall reports whether a node stands in the box of a host, at the wall of which its ports are. */
const hasWall = (node) => !!node.host && !node.past && boxesAround(node).length > 0;

/** describe says in one line what a node is, for those who do not see it. */
export function describe(n) {
  const words = [nameOf(n.node), subtitleOf(n.node)];
  if (n.node.host && n.node.kind !== "host") words.push(`on ${n.node.host}`);
  if (n.node.reason) words.push(n.node.reason);
  if (n.node.unread) words.push(count(n.node.unread, "container") + " could not be read wholly");
  if (n.node.stale) words.push("its host does not answer");
  if (n.node.past) words.push("past");
  return words.filter(Boolean).join(", ");
}

