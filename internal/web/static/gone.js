// What an address names and the map lacks: since when, and what runs in its place.
import { button, html } from "./html.js";
import { displayName, formatAgo, formatCount, formatPort, formatTime, qualifiedName } from "./format.js";
import { find, splitSelection } from "./reference.js";
import { groupIDs, isGroupOf } from "./view.js";

const maxSuccessors = 3, maxKnown = 100;

const exists = ({ nodes }, part) => !!find(nodes, part) || isGroupOf(nodes, part);

const endsOf = (parts) => parts.slice(0, 2);

/**
 * findGone returns what a selection names and the graph lacks: {missing}, the reference of a node or group, or {ends} of a link. It
 * returns null if nothing is missing, or if the text is no selection. The view may hide what exists.
 */
export function findGone(text, graph) {
  const all = splitSelection(text), has = (part) => exists(graph, part);
  const parts = all.find((p) => endsOf(p).every(has)) ?? all.find((p) => endsOf(p).some(has)) ?? all[0];
  if (!parts) return null;
  const missing = endsOf(parts).find((part) => !has(part));
  if (missing) return { missing };
  return parts.length > 1 && !hasLink(graph, parts) ? { ends: endsOf(parts) } : null;
}

/** hasLink reports whether a graph has the link or line, perhaps inside groups. */
function hasLink({ nodes, links }, [client, server, port, via]) {
  const members = (part) => {
    const node = find(nodes, part);
    return new Set(node ? [node.id] : nodes.filter((n) => groupIDs(n).includes(part)).map((n) => n.id));
  };
  const clients = members(client), servers = members(server);
  return links.some((l) => clients.has(l.client) && servers.has(l.server) && (!port || (formatPort(l) === port && l.via === via)));
}

/** LastKnown remembers the nodes that the address names, for the time when they are gone. */
export class LastKnown {
  #known = new Map();

  /** update notes what the graph knows about selections at a time in ms. */
  update(texts, { nodes, links }, time) {
    for (const part of texts.flatMap((text) => splitSelection(text).flatMap(endsOf))) {
      const node = find(nodes, part);
      if (!node) continue;
      this.#known.delete(part); // so that it becomes the latest
      this.#known.set(part, { node, time: node.past ? lastSeen(node, links) : time });
    }
    for (const part of [...this.#known.keys()].slice(0, -maxKnown)) this.#known.delete(part);
  }

  get(reference) { return this.#known.get(reference); }
}

const lastSeen = ({ id }, links) => Math.max(...links.filter((l) => l.client === id || l.server === id).map((l) => Date.parse(l.lastSeen)), 0);

const unescape = (part) => part.replaceAll("%2F", "/").replaceAll("%25", "%");

/** readReference returns what a reference says about its node. */
function readReference(reference) {
  const [kind, ...parts] = reference.split("/").map(unescape);
  if (kind !== "container") return { kind, name: parts.filter(Boolean).join(" ") || kind };
  const [host, ...rest] = parts;
  if (rest.length > 1) return { kind, host, project: rest[0], service: rest[1], name: rest[1] };
  return { kind, host, name: /^[0-9a-f]{64}$/.test(rest[0]) ? rest[0].slice(0, 12) : rest[0] || "" };
}

/** isOfService reports whether a container is of the service of a gone one. Compose names containers after project and service. */
function isOfService(n, { project, service, name }) {
  if (service) return n.service === service && (n.project || "") === (project || "");
  if (!n.service) return n.name === name;
  return ["-", "_"].some((s) => name.startsWith(`${n.project}${s}${n.service}${s}`) && /^\d+$/.test(name.slice(n.project.length + n.service.length + 2)));
}

/** findSuccessors returns the containers that run in place of a gone one: of its service on its host, or else on other hosts. */
export function findSuccessors(gone, nodes) {
  if (gone.kind !== "container") return [];
  const all = nodes.filter((n) => n.kind === "container" && !n.past && n.id !== gone.id && isOfService(n, gone));
  const here = all.filter((n) => n.host === gone.host);
  return (here.length ? here : all).slice(0, maxSuccessors);
}

/** successorButtons offers the successors of a gone container; show(id) goes to one. */
export function successorButtons(gone, nodes, show) {
  const found = findSuccessors(gone, nodes);
  if (!found.length) return "";
  const where = found[0].host === gone.host ? "In its place runs:" : "Its service runs on another host:";
  return [html("p", {}, where), html("p", { className: "actions" }, found.map((n) => button(`Show ${qualifiedName(n)}`, () => show(n.id))))];
}

/** goneTitle writes that something is gone, or only that the map lacks it if nothing is known about it. known is what LastKnown knows. */
export function goneTitle({ missing, ends }, graph, known) {
  if (ends) return "This link is gone";
  if (!known || mayBeUnread(missing, graph)) return `${known ? displayName(known.node) : readReference(missing).name} is not in the map`;
  return `${displayName(known.node)} is gone`;
}

/** mayBeUnread reports whether a node may be on a host that no target has data of. */
function mayBeUnread(reference, { nodes, targets }) {
  const host = reference.slice(0, reference.lastIndexOf("/") + 1), { host: name } = readReference(reference);
  const isRead = nodes.some((n) => n.kind === "container" && (n.id.startsWith(host) || n.host === name));
  return !isRead && targets.some((t) => t.state === "pending" || t.state === "failed");
}

/** gonePanel describes what is gone. show(id) goes to a node in its place, and on has showPanel and select. */
export function gonePanel(gone, graph, now, known, show, on) {
  const title = html("h2", {}, goneTitle(gone, graph, known));
  if (gone.ends) {
    const ends = gone.ends.map((part) => find(graph.nodes, part)).filter(Boolean);
    return [title, html("p", {}, `It was not seen in the last ${formatCount(Math.round(graph.windowSeconds / 60), "minute")}.`),
      html("p", { className: "actions" }, ends.map((n) => button(`Show ${qualifiedName(n)}`, () => on.jumpTo(n.id))))];
  }
  const named = { ...readReference(gone.missing), ...known?.node };
  const withoutData = graph.targets.filter((t) => t.state === "pending" || t.state === "failed").length;
  return [
    title,
    html("p", {}, known?.time ? `Last seen at ${formatTime(known.time, now)}, ${formatAgo(new Date(known.time).toISOString(), now)}.` : "It is gone, or the address names something else."),
    mayBeUnread(gone.missing, graph) && [html("p", {}, "It may be on a host without data."), html("p", { className: "actions" }, button(`See ${formatCount(withoutData, "target")} without data`, () => on.showPanel("targets")))],
    html("dl", {}, [["Host", named.host], ["Project", named.project], ["Service", named.service], ["Image", named.image]].filter(([, value]) => value).map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)])),
    successorButtons(named, graph.nodes, show),
  ];
}
