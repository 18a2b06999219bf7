// The view: which nodes and links of a graph are shown, and how they are grouped. serverParameters have the names and the meaning
// of the parameters of /v1/graph, so that the server can export the same view.
import { livePeriod, mergeIdle } from "./activity.js";
import { mergeCounters } from "./counters.js";
import { exposedPorts, formatPort, isUnnamedExternal, nodeID } from "./format.js";
import { atTime, markChanges } from "./changes.js";
import { compileQuery, parseQuery } from "./query.js";
import { resolve } from "./reference.js";

/** maxNodes is the number of nodes above which a group or the map is grouped further. The server opens groups by the same number. */
const maxNodes = 60;

/** maxInMatrix is the number of nodes above which a matrix is grouped. */
const maxInMatrix = 1500;

/** hysteresis is the number of nodes beyond maxNodes that changes the grouping of a map on the screen. */
const hysteresis = 8;

/** maxExternals is the number of external addresses above which a map without room groups them. */
const maxExternals = 3;

/** minGroups is the least number of nodes of a map that was grouped to become readable. */
const minGroups = 4;

/** serverParameters are the parameters that /v1/graph knows. The values "auto" are the page's: it chooses one of the others. */
const serverParameters = Object.freeze({
  group: "auto", open: [], closed: [], container: "", host: "", project: "", image: "", port: "", protocol: "", dns: "", external: "auto", state: "", unlinked: "show",
  node: "", q: "", depth: 1, since: "", at: "", newSince: "",
});

/** initial is the view without any parameter. The other parameters are the state of the page itself. */
export const initial = Object.freeze({ ...serverParameters, select: "", panel: "", overview: "", filter: "", sort: "", columns: "", look: "", level: "", as: "", width: "" });

/** filterNames are the parameters that "Show all" resets. */
export const filterNames = ["container", "host", "project", "image", "port", "protocol", "dns", "external", "state", "unlinked", "node", "q", "depth", "since", "at"];

const maxDepth = 100;

const isTime = (text) => !Number.isNaN(Date.parse(text));
const isSince = (text) => /^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text) || isTime(text);
const oneOf = (...values) => (text) => values.includes(text);
const levels = ["container", "service", "project", "host", "image"];

/** validators check the parameters that are not free text. */
const validators = {
  group: oneOf("auto", ...levels), external: oneOf("auto", "show", "group", "hide"),
  state: oneOf("", "live", "past"), protocol: oneOf("", "tcp", "udp"), dns: oneOf("", "show"), unlinked: oneOf("show", "hide"), panel: oneOf("", "targets", "incomplete"), overview: oneOf("", "open", "closed"), columns: oneOf("", "all"),
  port: (text) => /^\d{0,5}$/.test(text), depth: (text) => /^\d+$/.test(text) && text >= 1 && text <= maxDepth, at: isTime, since: isSince, newSince: isSince,
  level: oneOf(...levels), as: oneOf("", "matrix"), width: oneOf("", "bytes"), look: (text) => /^-?\d+,-?\d+,\d(\.\d+)?$/.test(text),
};

/** aliases are values of earlier addresses. */
const aliases = { group: { none: "container" }, level: { none: "container" }, panel: { unread: "incomplete" } };

/** parseView reads a view from the query of an address and ignores invalid values. */
export function parseView(query) {
  const view = structuredClone(initial);
  const parameters = new URLSearchParams(query);
  for (const [name, usual] of Object.entries(initial)) {
    const values = parameters.getAll(name).map((value) => aliases[name]?.[value] ?? value).filter(validators[name] || (() => true));
    if (values.length) view[name] = Array.isArray(usual) ? values : typeof usual === "number" ? Number(values[0]) : values[0];
  }
  return view;
}

/** formatQuery writes a view as the query of an address, without default values. */
export function formatQuery(view) {
  const parameters = new URLSearchParams();
  for (const [name, usual] of Object.entries(initial)) appendParameter(parameters, name, view[name], usual);
  return parameters.toString();
}

/** exportQuery writes the query with which /v1/graph returns what applyView returned as shown. */
export function exportQuery(view, shown) {
  const parameters = new URLSearchParams();
  const resolved = { ...view, group: shown.level, external: view.external === "hide" ? "hide" : shown.externals === "external" ? "group" : "show",
    q: parseQuery(view.q).error ? "" : view.q };
  for (const name of Object.keys(serverParameters)) appendParameter(parameters, name, resolved[name], "");
  return parameters.toString();
}

function appendParameter(parameters, name, value, usual) {
  if (Array.isArray(value)) value.forEach((v) => parameters.append(name, v));
  else if (value !== usual) parameters.set(name, value);
}

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** parseSince returns the time in ms of a duration before now, such as 10m, or of an absolute time; NaN if the text is empty. */
export function parseSince(text, now) {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gy)];
  return parts.length ? now - parts.reduce((sum, [, n, unit]) => sum + n * units[unit], 0) : Date.parse(text);
}

/** dataStart returns the time in ms before which nothing is known at now: of the first map, or of the window if that is later; 0 if unknown. */
export function dataStart({ dataSince, windowSeconds }, now) {
  const since = Date.parse(dataSince);
  return since > 0 ? Math.max(since, now - 1000 * windowSeconds) : 0;
}

/**
 * applyView returns the shown nodes and links of a graph, and how much each filter hides. now is the server's time in ms. last is
 * the level shown before: the hysteresis keeps it. The result has noDataBefore, in ms, if view.at is before it. atLeast is a grouping that coarser ones may replace, as shown.coarser of an earlier
 * call. Neither graph nor view changes.
 */
export const applyView = (graph, view, now, last = "", atLeast = null) => groupNodes(filterGraph(graph, view, now), view, last, atLeast);

/** selectsLinks reports whether a view selects links by their properties. */
export const selectsLinks = ({ port, protocol, state, q }) => !!port || !!protocol || !!state || compileQuery(q).links.selectsSome;

/**
 * withAsked returns a graph without the links that a view must ask for: those to the engine's own DNS resolver, which most containers have.
 */
export function withAsked(graph, { dns, q }) {
  if (dns || compileQuery(q).links.names("via")) return graph;
  return { ...graph, links: graph.links.filter((l) => l.via !== "resolver") };
}

/** filterGraph is applyView without groups. */
export function filterGraph(graph, view, now) {
  const selecting = { ...view, node: view.node && resolve(graph.nodes, view.node) };
  const newSince = parseSince(view.newSince, now), at = Date.parse(view.at);
  const query = compileQuery(view.q);
  const steps = [
    ["not seen yet at that time", (s) => (at < now ? atTime(s, at, livePeriod(graph)) : s)],
    ["", (s) => (newSince ? markChanges(s, newSince, graph.dataSince) : s)],
    ["last seen earlier", (s) => (view.since ? seenSince(s, parseSince(view.since, now)) : s)],
    [view.state === "past" ? "live" : "past", (s) => byState(s, view.state)],
    ["to other ports", (s) => byPort(s, view.port)],
    ["of another protocol", (s) => byProtocol(s, view.protocol)],
    ["left out by the query", (s) => ({ nodes: s.nodes, links: s.links.filter((l) => query.links.selects(l) && !query.links.excludes(l)) })],
    ["external", (s) => (view.external === "hide" ? dropNodes(s, isUnnamedExternal) : s)],
    ["excluded by the query", (s) => dropNodes(s, query.nodes.excludes)],
    ["outside this filter", (s) => neighbourhood(s, selecting, query.nodes)],
    ["unconnected", (s) => dropUnlinked(s, view, query.links.selectsSome)],
  ];
  const start = dataStart(graph, now), isKnown = !(at < now && at < start);
  let shown = { nodes: isKnown ? graph.nodes : [], links: isKnown ? graph.links : [], hidden: {}, noDataBefore: isKnown ? 0 : start };
  for (const [cause, step] of steps) {
    const next = { ...shown, ...step(shown) };
    const less = { nodes: shown.nodes.length - next.nodes.length, links: shown.links.length - next.links.length };
    if (less.nodes || less.links) next.hidden = { ...next.hidden, [cause]: less };
    shown = next;
  }
  return shown;
}

function seenSince({ nodes, links }, since) {
  return { nodes, links: links.filter((l) => Date.parse(l.lastSeen) >= since) };
}

function byState({ nodes, links }, state) {
  return { nodes, links: state ? links.filter((l) => l.live === (state === "live")) : links };
}

function byPort({ nodes, links }, port) {
  return { nodes, links: port ? links.filter((l) => l.port === Number(port)) : links };
}

function byProtocol({ nodes, links }, protocol) {
  return { nodes, links: protocol ? links.filter((l) => protocolOf(l) === protocol) : links };
}

function dropNodes({ nodes, links }, isDropped) {
  const kept = nodes.filter((n) => !isDropped(n));
  const ids = new Set(kept.map((n) => n.id));
  return { nodes: kept, links: links.filter((l) => ids.has(l.client) && ids.has(l.server)) };
}

/** selectNodes returns a predicate for the nodes that the view selects; null if it selects none in particular. */
function selectNodes(nodes, { container, host, project, image, node }, query) {
  if (!container && !host && !project && !image && !node && !query.selectsSome) return null;
  const name = container.replace(/^\//, "");
  const isNamed = (n) => n.kind === "container" && n.name === name;
  const exists = nodes.some(isNamed); // a name takes precedence over the start of an ID
  return (n) => (!container || isNamed(n) || (!exists && !!n.container?.startsWith(name))) && (!host || n.host === host) && (!project || n.project === project) &&
    (!image || n.image === image) && (!node || n.id === node || groupsFor(n).some((g) => g.id === node)) && query.selects(n);
}

/** neighbourhood keeps the selected nodes and the nodes within view.depth links of them. */
function neighbourhood({ nodes, links }, view, query) {
  const isSelected = selectNodes(nodes, view, query);
  if (!isSelected) return { nodes, links };
  const distance = new Map(nodes.filter(isSelected).map((n) => [n.id, 0]));
  for (let depth = 0; depth < view.depth; depth++) {
    const reached = new Set();
    for (const { client, server } of links) {
      if (distance.get(client) === depth && !distance.has(server)) reached.add(server);
      if (distance.get(server) === depth && !distance.has(client)) reached.add(client);
    }
    if (!reached.size) break;
    reached.forEach((id) => distance.set(id, depth + 1));
  }
  const isNear = (id) => distance.has(id) && distance.get(id) < view.depth;
  return { nodes: nodes.filter((n) => distance.has(n.id)), links: links.filter((l) => isNear(l.client) || isNear(l.server)) };
}

/**
 * dropUnlinked drops unconnected nodes. External, ambiguous, unknown and past nodes without a link are never shown. Containers and hosts
 * without one are hidden by view.unlinked, and if the view selects ports or past links, or the query selects links.
 */
function dropUnlinked({ nodes, links }, view, querySelectsLinks) {
  const linked = new Set(links.flatMap((l) => [l.client, l.server]));
  const dropAll = view.unlinked === "hide" || view.port || view.protocol || view.state === "past" || querySelectsLinks;
  return { nodes: nodes.filter((n) => linked.has(n.id) || (!dropAll && !n.past && !["external", "ambiguous", "unknown"].includes(n.kind))), links };
}

/** groupsFor returns the possible groups of a node: of its host, project, service and image. */
function groupsFor(n) {
  if (isUnnamedExternal(n)) return [{ id: "external", kind: "external", name: "external", level: "external" }];
  const groups = [];
  if (n.host && n.kind !== "ambiguous" && n.kind !== "unknown") groups.push({ id: nodeID("host", n.host), kind: "host", host: n.host, name: n.host, level: "host" });
  if (n.kind !== "container") return groups;
  const { host, project, service, image } = n;
  if (project) groups.push({ id: nodeID("project", project), kind: "project", host, name: project, project, level: "project" });
  if (service) groups.push({ id: nodeID("service", project || "", service), kind: "service", host, name: service, project, service, image, level: "service" });
  if (image) groups.push({ id: nodeID("image", image), kind: "image", host, name: image, image, level: "image" });
  return groups;
}

/** finer are the levels into which an opened group with more than maxNodes nodes divides. */
const finer = { host: ["project", "service", "image"], project: ["service", "image"], service: [], image: [], external: [] };

/** divides reports whether a group with more than maxNodes nodes divides into smaller ones when it opens. */
export const divides = (group) => finer[group.kind].length > 0;

/** groupings returns the grouping levels of nodes and of external addresses that the view allows, from the finest to the coarsest. */
function groupings(nodes, view) {
  const hasSeveralHosts = new Set(nodes.map((n) => n.host).filter(Boolean)).size > 1;
  const levels = view.group === "auto" ? ["container", "service", "project", hasSeveralHosts && "host", "image"].filter(Boolean) : [view.group];
  const isMany = nodes.filter(isUnnamedExternal).length > maxExternals;
  const externals = view.external === "auto" ? ["container", ...(isMany ? ["external"] : [])] : [view.external === "group" ? "external" : "container"];
  const all = levels.flatMap((level, i) => (i ? externals.slice(-1) : externals).map((e) => ({ level, externals: e, count: countGroups(nodes, level, e) })));
  return all.filter(({ count }, i) => all.slice(0, i).every((finer) => count < finer.count));
}

/** countGroups returns the number of nodes of a map that is grouped by the levels. */
const countGroups = (nodes, level, externals) => new Set(nodes.map((n) => (groupsFor(n).find((g) => g.level === level || g.level === externals) || n).id)).size;

/**
 * chooseGrouping returns the finest grouping with few enough nodes, and the next coarser grouping that still shows something. last is the
 * level shown before. With atLeast, the result of an earlier call, finer groupings do not count.
 */
function chooseGrouping(nodes, view, last, atLeast) {
  const limit = (view.as === "matrix" ? maxInMatrix : maxNodes) + ({ "": 0, container: hysteresis }[last] ?? -hysteresis);
  const all = groupings(nodes, view);
  const from = atLeast ? Math.max(0, all.findIndex((g) => g.level === atLeast.level && g.externals === atLeast.externals)) : 0;
  const fits = all.slice(from).find((g) => g.count <= limit) || all.at(-1);
  const coarser = all.slice(all.indexOf(fits) + 1).find((g) => g.count >= minGroups);
  return { level: fits.level, externals: fits.externals, coarser };
}

/** groupNodes merges nodes into groups, and the links between them. isSticky reports that hysteresis chose the level. */
function groupNodes(shown, view, last, atLeast) {
  const { level, externals, coarser } = chooseGrouping(shown.nodes, view, last, atLeast);
  const isSticky = level !== chooseGrouping(shown.nodes, view, "", atLeast).level;
  const sizes = groupSizes(shown.nodes);
  const groupOf = (n) => {
    const groups = groupsFor(n);
    const closed = groups.find((g) => view.closed.includes(g.id));
    let group = closed || groups.find((g) => g.level === level || g.level === externals);
    while (group && !closed && view.open.includes(group.id)) {
      const { id } = group;
      const next = sizes.get(id) > maxNodes ? finer[group.level] : [];
      group = groups.find((g) => next.includes(g.level) && sizes.get(g.id) > 1);
    }
    return group;
  };
  const groupByNode = new Map(), groups = new Map(), nodes = [];
  for (const n of shown.nodes) {
    const group = groupOf(n);
    groupByNode.set(n.id, group ? group.id : n.id);
    if (!group) nodes.push(n);
    else groups.set(group.id, addMember(groups.get(group.id) || { ...group, members: 0, newMembers: 0, goneMembers: 0, replacedMembers: 0, publishes: new Set() }, n));
  }
  nodes.push(...groups.values());
  nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  const links = mergeLinks(shown.links.map((l) => ({ ...l, client: groupByNode.get(l.client), server: groupByNode.get(l.server) })));
  for (const l of shown.links) {
    const client = groupByNode.get(l.client), group = client === groupByNode.get(l.server) && groups.get(client);
    if (!group) continue;
    group.inside = (group.inside || 0) + 1;
    group.newInside = (group.newInside || 0) + (l.newLinks || 0);
    group.goneInside = (group.goneInside || 0) + (l.goneLinks || 0);
  }
  return { ...shown, nodes, links, level, externals, coarser, isSticky, groupByNode, ungrouped: { nodes: shown.nodes, links: shown.links } };
}

function groupSizes(nodes) {
  const sizes = new Map();
  for (const n of nodes) for (const g of groupsFor(n)) sizes.set(g.id, (sizes.get(g.id) || 0) + 1);
  return sizes;
}

/** addMember adds a node to a group. The group keeps what all members have in common. */
function addMember(group, n) {
  if (group.host !== n.host) group.host = undefined;
  if (group.image !== n.image) group.image = undefined;
  group.stale ||= n.stale;
  group.incomplete = (group.incomplete || 0) + (n.reason ? 1 : 0);
  group.past = ((group.members === 0 || group.past) && n.past) || undefined;
  for (const port of exposedPorts(n)) group.publishes.add(port);
  group.members++;
  group.newMembers += n.new ? 1 : 0;
  group.goneMembers += n.gone ? 1 : 0;
  group.replacedMembers += n.replaced ? 1 : 0;
  group.new = group.newMembers === group.members || undefined;
  group.gone = group.goneMembers === group.members || undefined;
  return group;
}

const viaOrder = ["direct", "published", "host", "loopback", "resolver"], protocolOf = (l) => l.protocol || "tcp";
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** byKey orders links by their identity, as /v1/graph does. */
const byKey = (a, b) => compare(a.client, b.client) || compare(a.server, b.server) || a.port - b.port || compare(protocolOf(a), protocolOf(b)) || viaOrder.indexOf(a.via) - viaOrder.indexOf(b.via);

/** linkKey identifies a link. */
export const linkKey = (l) => [l.client, l.server, formatPort(l), l.via].join(" ");

/** drawnKey returns the key of the shown link that contains the link with a key: groups have one for all links between their members. */
export function drawnKey({ ungrouped, groupByNode }, key) {
  const link = ungrouped.links.find((l) => linkKey(l) === key);
  return link ? linkKey({ ...link, client: groupByNode.get(link.client), server: groupByNode.get(link.server) }) : key;
}

function mergeLinks(links) {
  links.sort(byKey);
  const all = [];
  for (const l of links) {
    const last = all[all.length - 1];
    if (last && byKey(last, l) === 0) all[all.length - 1] = mergePair(last, l);
    else all.push(l);
  }
  return all;
}

/** isEarlier compares UTC times in nanoseconds. The zone goes, because the fractions of a second differ in length. */
const isEarlier = (a, b) => a.slice(0, -1) < b.slice(0, -1);

function mergePair(a, b) {
  return {
    ...a,
    evidence: a.evidence === b.evidence ? a.evidence : "both",
    directionUnknown: a.directionUnknown || b.directionUnknown,
    measured: mergeMeasured(a, b), counters: mergeCounters(a.counters, b.counters),
    newLinks: (a.newLinks || 0) + (b.newLinks || 0) || undefined,
    goneLinks: (a.goneLinks || 0) + (b.goneLinks || 0) || undefined,
    attempts: (a.attempts || 0) + (b.attempts || 0) || undefined, unanswered: (a.unanswered && b.unanswered) || undefined,
    connections: a.connections + b.connections, closed: a.closed + b.closed, live: a.live || b.live,
    firstSeen: isEarlier(a.firstSeen, b.firstSeen) ? a.firstSeen : b.firstSeen,
    lastSeen: isEarlier(b.lastSeen, a.lastSeen) ? a.lastSeen : b.lastSeen,
  };
}

function mergeMeasured(a, b) {
  const idleSeconds = mergeIdle(a, b) || undefined;
  if (!a.measured || !b.measured) return a.measured || b.measured ? { ...(a.measured || b.measured), idleSeconds } : undefined;
  const total = Math.max(a.connections + b.connections, 1);
  return {
    rttMicroseconds: Math.floor((a.measured.rttMicroseconds * a.connections + b.measured.rttMicroseconds * b.connections) / total),
    bytesSent: a.measured.bytesSent + b.measured.bytesSent,
    bytesReceived: a.measured.bytesReceived + b.measured.bytesReceived,
    idleSeconds,
  };
}

/** groupIDs returns the IDs of all groups that may contain a node. */
export const groupIDs = (n) => groupsFor(n).map((g) => g.id);

const groupsOf = new WeakMap(); // the IDs of all groups of the nodes of a graph

/** isGroupOf reports whether an ID is that of a group that has some of the nodes of a graph. */
export function isGroupOf(nodes, id) {
  if (!groupsOf.has(nodes)) groupsOf.set(nodes, new Set(nodes.flatMap(groupIDs)));
  return groupsOf.get(nodes).has(id);
}
