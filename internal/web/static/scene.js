// The scene: the nodes, boxes and lines to draw, with their texts and sizes, before the layout places them.
import { countUse, formatLoad, lineStates } from "./activity.js";
import { displayName, exposedPorts, formatCount, formatNumber, formatPort, isGroup, nodeID, formatSubtitle, formatTime, splitImage, stateOf, truncate } from "./format.js";
import { changeCounts, isGone, lineChange } from "./changes.js";
import { bytesOf } from "./counters.js";
import { pitch, snapUp, titleMargin } from "./lattice.js";
import { predecessorIDs } from "./succession.js";
import { linkKey } from "./view.js";

const maxNameLength = 60, maxSubtitleLength = 40;
const padding = 8, roundPadding = 14, monogramSize = 16, signSize = 20, badgePadding = 5, badgeGap = 4, versionGap = 6; // px
const rowHeight = 2 * pitch;
const canvas = document.createElement("canvas").getContext("2d");

/** fonts are those of drawing.css. Texts of fontSize are readable down to minReadable px on the screen. */
const fonts = { name: "600 13px ", text: "13px ", large: "600 18px " };
const fontSize = 13, minReadable = 11;

/** minScale is the least scale at which the texts of nodes and lines are readable. */
export const minScale = minReadable / fontSize;

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

/**
 * buildScene returns the scene of a view. targets are those of the graph, and now is the server's time in ms. The width of lines shows "bytes" or
 * connections. With insideGroups there are lines for the links inside of groups.
 */
export function buildScene(shown, targets, now, { width = "", insideGroups = false } = {}) {
  const sides = chooseSides(shown);
  const nodes = shown.nodes.map((node) => buildNode(node, sides.get(node.id)));
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const boxes = new Map();
  for (const n of nodes) {
    n.boxes.forEach((id, i) => boxes.set(id, boxes.get(id) || buildBox(id, i, n.node)));
    for (const id of n.boxes) boxes.get(id).isStale &&= !!n.node.stale;
  }
  for (const b of boxes.values()) titleBox(b, targets, now);
  for (const n of nodes) n.titles = n.boxes.map((id) => boxes.get(id).titleWidth);
  return { nodes, byID, boxes: [...boxes.values()], lines: buildLines(shown, byID, width, insideGroups) };
}

function buildNode(node, side) {
  const boxes = enclosingBoxes(node);
  const name = truncate(nameInBox(node, boxes), maxNameLength), subtitle = truncate(formatSubtitle(node), maxSubtitleLength);
  const monogram = buildMonogram(node), badges = buildBadges(node), isMarked = !!(node.reason || node.incomplete);
  const badgeWidth = badges.reduce((sum, b) => sum + b.w + badgeGap, 0), indent = monogram ? padding + monogramSize + 6 : roundPadding;
  const end = monogram ? padding : roundPadding;
  const first = indent + measure(name, "name") + (isMarked ? signSize : 0) + end;
  const second = indent + badgeWidth + measure(subtitle, "text") + end;
  const full = { w: snapUp(Math.max(first, second)), h: 2 * rowHeight + pitch }, small = { w: snapUp(first + badgeWidth), h: rowHeight + pitch };
  const version = imageVersion(node), versionAt = indent + measure(name, "name") + versionGap;
  const wide = version ? snapUp(first + badgeWidth + versionGap + measure(version, "text")) : small.w;
  const large = (w) => fitText(name, w - 8);
  return { id: node.id, node, name, large, subtitle, monogram, badges, isMarked, indent, sizes: [full, small], wide, version, versionAt, boxes, side, flags: nodeFlags(node), predecessors: predecessorIDs(node) };
}

const maxVersionLength = 16;

/** imageVersion returns the tag of the image of a container or service; empty for "latest". */
function imageVersion({ kind, image }) {
  const tag = ["container", "service"].includes(kind) && splitImage(image).tag;
  return tag && tag !== "latest" ? truncate(tag, maxVersionLength) : "";
}

/** fitText truncates a name to a width in large letters. */
function fitText(name, width) {
  const length = Math.max(4, Math.floor(name.length * Math.min(1, width / measure(name, "large"))));
  return truncate(name, length);
}

/** nameInBox returns the name of a node. The box of a project shows the project, so that its containers do not repeat it. */
function nameInBox(node, boxes) {
  const name = displayName(node), prefix = `${node.project}-`;
  return node.kind === "container" && !isGroup(node) && boxes.length && node.project && name.startsWith(prefix) && name.length > prefix.length ? name.slice(prefix.length) : name;
}

const hues = 8; // of monograms in drawing.css

/** buildMonogram returns the letter and the hue of a project, or of a container without one; null for external addresses. */
function buildMonogram(node) {
  if (["external", "ambiguous", "unknown"].includes(node.kind)) return null;
  const text = node.project || node.service || node.name;
  const [letter] = text.replace(/^[^\p{L}\p{N}]+/u, "");
  let hash = 0;
  for (const c of text) hash = (hash * 31 + c.codePointAt(0)) % 65_521;
  return { letter: (letter || "?").toUpperCase(), hue: hash % hues };
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
  return { id, kind: isHost ? "host" : "project", name, isStale: true, closes: isHost ? nodeID("host", node.host) : nodeID("project", node.project) };
}

/** titleBox sets the title of a box. The title of a host without current data says since when. */
function titleBox(box, targets, now) {
  const last = box.isStale && box.kind === "host" && targets.find((t) => t.host === box.name)?.lastAnswer;
  box.label = truncate(box.name, 40) + (box.isStale && box.kind === "host" ? ` · stopped responding${Date.parse(last) > 0 ? `, data from ${formatTime(last, now)}` : ""}` : "");
  box.titleWidth = measure(box.label, "name") + 2 * titleMargin;
}

/** chooseSides returns the edges of external addresses: "first" for clients, "last" for servers. */
function chooseSides({ nodes, links }) {
  const balance = new Map(); // links as server less links as client
  for (const { client, server } of links) {
    balance.set(client, (balance.get(client) || 0) - 1);
    balance.set(server, (balance.get(server) || 0) + 1);
  }
  const atEdge = (n) => n.kind === "external" || (n.kind === "ambiguous" && !n.host);
  return new Map(nodes.filter(atEdge).map((n) => [n.id, balance.get(n.id) > 0 ? "last" : "first"]));
}

/** changeTexts returns whether a node is new, replaced or gone, or how many members of a group and links inside are: pairs of the kind and the text. */
function changeTexts(node) {
  const { added, gone } = changeCounts(node), replaced = isGroup(node) ? node.replacedMembers : node.replaced, text = (n, word) => (isGroup(node) ? `${formatNumber(n)} ${word}` : word);
  return [
    added && ["new", text(added, "new")], node.newInside && ["new", formatCount(node.newInside, "new link")],
    replaced && ["new", text(replaced, "replaced")], gone && ["gone", text(gone, "gone")], node.goneInside && ["gone", `${formatCount(node.goneInside, "link")} gone`],
  ].filter(Boolean);
}

const maxPortBadges = 3;

/** buildBadges returns the badges of a node: its state, its rights on the host, how many members a group has, and its published ports. */
function buildBadges(node) {
  const ports = node.past ? [] : exposedPorts(node), more = ports.length - maxPortBadges;
  const badge = (kind, label) => ({ kind, label, w: Math.ceil(measure(label, "text")) + 2 * badgePadding });
  return [
    ...[stateOf(node)].filter(Boolean).map((state) => badge("state-badge", state)),
    ...changeTexts(node).map(([kind, text]) => badge(`${kind}-badge`, text)),
    ...(node.details?.engineSocket ? [badge("socket-badge", "engine socket")] : []),
    ...(node.details?.hostNetwork ? [badge("count-badge", "host network")] : []),
    ...(node.members > 1 ? [badge("count-badge", `×${formatNumber(node.members)}`)] : []),
    ...ports.slice(0, maxPortBadges).map((port) => badge("port-badge", `:${port}`)),
    ...(more > 0 ? [badge("port-badge", `+${formatNumber(more)}`)] : []),
  ];
}

/** maxLabelled is the number of lines above which only those of a selected node have labels. */
export const maxLabelled = 150;

/** maxDrawn is the number of lines above which only those of a selected or pointed node are drawn. */
export const maxDrawn = 300;

/** buildLines returns one line for each client and server, whatever the ports. */
function buildLines({ links }, byID, width, insideGroups) {
  const lines = new Map();
  for (const link of links) {
    if (!insideGroups && link.client === link.server && isGroup(byID.get(link.client).node)) continue; // the subtitle of the group counts them
    const id = `${link.client} ${link.server}`;
    const line = lines.get(id);
    if (line) line.links.push(link);
    else lines.set(id, { id, from: link.client, to: link.server, links: [link] });
  }
  for (const line of lines.values()) Object.assign(line, lineStyle(line, byID, width), lines.size > maxLabelled && lines.size <= maxDrawn && { labelWidths: [] });
  return [...lines.values()];
}

function lineStyle({ links, from, to }, byID, width) {
  const live = links.filter((l) => l.live);
  const counted = live.length ? live : links;
  const isStale = byID.get(from).node.stale || byID.get(to).node.stale;
  const flags = [
    ...lineStates(links), counted.every((l) => l.evidence !== "both") && "one-sided", isStale && "stale",
    links.some((l) => l.newLinks) && "new", links.every(isGone) && "gone", links.some((l) => l.newLinks || l.goneLinks) && "changed",
  ].filter(Boolean);
  const labels = buildLabels(links);
  return { flags, labels, labelWidths: labels.map(labelWidth), width: lineWidth(counted, width), keys: links.map(linkKey) };
}

const minWidth = 1.3, maxWidth = 4; // px

/** lineWidth grows with the logarithm of the use: 0.4 px for twice the connections, or for four times the bytes beyond a kilobyte. */
function lineWidth(links, by) {
  const bytes = links.reduce((sum, l) => sum + (bytesOf(l) ? bytesOf(l).bytesSent + bytesOf(l).bytesReceived : 0), 0);
  const growth = by === "bytes" ? 0.2 * Math.log2(Math.max(1, bytes / 1000)) : 0.4 * Math.log2(Math.max(1, countUse(links)));
  return Math.min(maxWidth, minWidth + growth);
}

/** buildLabels returns the label of some links of a line, and shorter forms. Past links are in it only if nothing else is. */
function buildLabels(links) {
  const shown = links.filter((l) => l.live || l.newLinks || l.goneLinks), change = lineChange(links);
  return lineLabels(shown.length ? shown : links).map((l) => (change ? `${l} ${change}` : l));
}

/** labelOf returns the text of some links of a line, in one of the forms of its label, and its width. */
export function labelOf(links, form) {
  const labels = buildLabels(links), text = (labels[form] ?? labels.at(-1)) + (links.some((l) => l.live) ? "" : " past");
  return { text, width: labelWidth(text) };
}

const maxPorts = 3; // that a label names

/** lineLabels returns the label of a line with its ports and their use, and a shorter form with the ports alone. */
function lineLabels(links) {
  const ports = [...Map.groupBy(links, formatPort)], many = `${formatNumber(ports.length)} ports`;
  const forms = ports.length > maxPorts
    ? [many + formatLoad(links), many]
    : [ports.map(([port, all]) => port + formatLoad(all)).join(", "), ports.map(([port]) => port).join(", ")];
  return [...new Set(forms)];
}

/** labelWidth returns the width of a label. A rate counts as one of two digits: it changes often, and the label must not move then. */
const labelWidth = (label) => Math.ceil(measure(label.replace(/ \d(?=\/min)/g, " 00"), "text") / 8) * 8 + 4;

/** describe returns one line about a node for screen readers. */
export function describe(n) {
  const parts = [displayName(n.node), formatSubtitle(n.node)];
  if (n.node.host && n.node.kind !== "host") parts.push(`on ${n.node.host}`);
  if (stateOf(n.node)) parts.push(stateOf(n.node));
  if (n.node.details?.engineSocket) parts.push("has the engine's socket");
  if (n.node.details?.hostNetwork) parts.push("on the host's network");
  const ports = n.badges.filter((b) => b.kind === "port-badge");
  if (ports.length) parts.push(`at host ports ${ports.map((b) => b.label).join(" ")}`);
  if (n.node.reason) parts.push(n.node.reason);
  if (n.node.incomplete) parts.push(formatCount(n.node.incomplete, "container") + " partly readable");
  if (n.node.stale) parts.push("its data is not current");
  if (n.node.past) parts.push("past");
  parts.push(...changeTexts(n.node).map(([, text]) => text));
  return parts.filter(Boolean).join(", ");
}

