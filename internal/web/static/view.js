// What somebody wants to see of a graph. The names are those of the parameters of /v1/graph where it has them too.
import { idOf, isUnnamed, portsOf } from "./names.js";

/** mostNodes is how many nodes are shown before they are put together. */
const mostNodes = 60;

/** slack is how many more or fewer it takes to change that while a map is looked at. */
const slack = 8;

/** mostExternals is how many external addresses are shown each by itself on a map that has too many nodes. */
const mostExternals = 10;

/** initial is what is shown to whoever asks for nothing else. */
export const initial = Object.freeze({
  group: "auto", open: [], closed: [], host: "", project: "", image: "", port: "", external: "auto", state: "", unlinked: "show",
  node: "", depth: 1, at: "", since: "", select: "", panel: "", filter: "", sort: "", columns: "", look: "", level: "",
});

/** filters are those of which "Show all" takes back each. */
export const filters = ["host", "project", "image", "port", "external", "state", "unlinked", "node", "depth", "at"];

const isTime = (text) => !Number.isNaN(Date.parse(text));
const oneOf = (...values) => (text) => values.includes(text);

/** sense says of parameters that are not any text which ones make sense. */
const sense = {
  group: oneOf("auto", "none", "service", "project", "host", "image"), external: oneOf("auto", "show", "group", "hide"),
  state: oneOf("", "live", "past"), unlinked: oneOf("show", "hide"), panel: oneOf("", "targets", "unread"), columns: oneOf("", "all"),
  port: (text) => /^\d{0,5}$/.test(text), depth: (text) => /^[1-9]$/.test(text), at: isTime, since: (text) => /^\d{1,4}[mh]$/.test(text) || isTime(text),
  level: oneOf("none", "service", "project", "host", "image"), look: (text) => /^-?\d+,-?\d+,\d(\.\d+)?$/.test(text),
};

/** parse reads a view from the query of an address; what makes no sense is left out. */
export function parse(query) {
  const view = structuredClone(initial);
  const parameters = new URLSearchParams(query);
  for (const [name, usual] of Object.entries(initial)) {
    const values = parameters.getAll(name).filter(sense[name] || (() => true));
    if (values.length) view[name] = Array.isArray(usual) ? values : typeof usual === "number" ? Number(values[0]) : values[0];
  }
  return view;
}

/** sinceTime is the time in milliseconds from which on links are new; NaN if that is not asked for. */
function sinceTime({ since }, now) {
  const [, n, unit] = since.match(/^(\d+)([mh])$/) || [];
  return n ? now - n * { m: 60_000, h: 3_600_000 }[unit] : Date.parse(since);
}

/** query writes a view as the query of an address; what is as usual is left out. */
export function query(view) {
  const parameters = new URLSearchParams();
  for (const [name, usual] of Object.entries(initial)) {
    if (Array.isArray(usual)) view[name].forEach((value) => parameters.append(name, value));
    else if (view[name] !== usual) parameters.set(name, view[name]);
  }
  return parameters.toString();
}

/**
 * shownOf returns what a view shows of a graph: nodes, links, and how much is hidden by what. now is the server's time in
 * milliseconds, and last the level of what was shown before, which is not left for one node more or less. Neither graph nor
 * view is changed.
 */
export function shownOf(graph, view, now, last = "") {
  const since = sinceTime(view, now);
  const links = since ? graph.links.map((l) => (Date.parse(l.firstSeen) >= since ? { ...l, fresh: 1 } : l)) : graph.links;
  const shown = { nodes: graph.nodes, links, hidden: {} };
  const steps = [
    ["not seen yet at that time", (s) => (view.at ? seenAt(s, Date.parse(view.at), now) : s)],
    [view.state === "past" ? "live" : "past", (s) => ofState(s, view.state)],
    ["to other ports", (s) => ofPort(s, view.port)],
    ["external", (s) => (view.external === "hide" ? withoutExternals(s) : s)],
    ["farther from what is picked", (s) => around(s, view)],
    ["without links", (s) => withoutUnlinked(s, view)],
  ];
  let rest = shown;
  for (const [cause, step] of steps) {
    const next = { ...rest, ...step(rest) };
    const nodes = rest.nodes.length - next.nodes.length, links = rest.links.length - next.links.length;
    if (nodes || links) next.hidden = { ...next.hidden, [cause]: { nodes, links } };
    rest = next;
  }
  return grouped(rest, view, last);
}

/**
 * seenAt turns the clock back: links of later are not there yet, and of the others only those are past that had ended. How
 * many connections there were then is not known.
 */
function seenAt({ nodes, links }, at, now) {
  if (!(at < now)) return { nodes, links };
  return {
    nodes,
    links: links.filter((l) => Date.parse(l.firstSeen) <= at).map((l) =>
      ({ ...l, live: l.live || Date.parse(l.lastSeen) >= at, connections: 0, closed: 0, measured: undefined, uncounted: true })),
  };
}

function ofState({ nodes, links }, state) {
  return { nodes, links: state ? links.filter((l) => l.live === (state === "live")) : links };
}

function ofPort({ nodes, links }, port) {
  return { nodes, links: port ? links.filter((l) => String(l.port) === port) : links };
}

function withoutExternals({ nodes, links }) {
  const kept = nodes.filter((n) => !isUnnamed(n));
  return { nodes: kept, links: between(links, kept) };
}

function between(links, nodes) {
  const ids = new Set(nodes.map((n) => n.id));
  return links.filter((l) => ids.has(l.client) && ids.has(l.server));
}

/** around keeps what is picked and what is linked with it, over so many links. */
function around({ nodes, links }, view) {
  if (!view.host && !view.project && !view.image && !view.node) return { nodes, links };
  const picked = (n) => (!view.host || n.host === view.host) && (!view.project || n.project === view.project) &&
    (!view.image || n.image === view.image) && (!view.node || n.id === view.node || groupsOf(n).some((g) => g.id === view.node));
  const distance = new Map(nodes.filter(picked).map((n) => [n.id, 0]));
  for (let depth = 0; depth < view.depth; depth++) {
    const reached = new Set();
    for (const { client, server } of links) {
      if (distance.get(client) === depth && !distance.has(server)) reached.add(server);
      if (distance.get(server) === depth && !distance.has(client)) reached.add(client);
    }
    reached.forEach((id) => distance.set(id, depth + 1));
  }
  const near = (id) => distance.has(id) && distance.get(id) < view.depth;
  return { nodes: nodes.filter((n) => distance.has(n.id)), links: links.filter((l) => near(l.client) || near(l.server)) };
}

/** withoutUnlinked drops what has no link where links are picked, and always what is past without one. */
function withoutUnlinked({ nodes, links }, view) {
  const linked = new Set(links.flatMap((l) => [l.client, l.server]));
  const drop = view.unlinked === "hide" || view.port || view.state === "past";
  return { nodes: nodes.filter((n) => linked.has(n.id) || (!drop && !n.past && n.kind !== "external" && n.kind !== "ambiguous")), links };
}

/** groupsOf returns the groups that a node may be in, the largest first. */
function groupsOf(n) {
  if (isUnnamed(n)) return [{ id: "external", kind: "external", name: "external", level: "external" }];
  const groups = [];
  if (n.host && n.kind !== "ambiguous") groups.push({ id: idOf("host", n.host), kind: "host", host: n.host, name: n.host, level: "host" });
  if (n.kind !== "container") return groups;
  const { host, project, service, image } = n;
  if (project) groups.push({ id: idOf("project", project), kind: "project", host, name: project, project, level: "project" });
  if (service) groups.push({ id: idOf("service", project || "", service), kind: "service", host, name: service, project, service, image, level: "service" });
  if (image) groups.push({ id: idOf("image", image), kind: "image", host, name: image, image, level: "image" });
  return groups;
}

/** finer are the groups that a group opens into where it has too many nodes. */
const finer = { host: ["project", "service", "image"], project: ["service", "image"], service: [], image: [], external: [] };

/** levelsOf returns the levels at which nodes, and external addresses, are put together. */
function levelsOf(nodes, view, last) {
  const most = mostNodes + ({ "": 0, none: slack }[last] ?? -slack);
  const many = nodes.length > most && nodes.filter(isUnnamed).length > mostExternals;
  const externals = view.external === "group" || (view.external === "auto" && many) ? "external" : "none";
  return [view.group === "auto" ? levelFor(nodes, externals, most) : view.group, externals];
}

/** grouped puts nodes together, and the links between them; unusual says that they are so because of what was shown before. */
function grouped(shown, view, last) {
  const [level, externals] = levelsOf(shown.nodes, view, last);
  const unusual = String([level, externals]) !== String(levelsOf(shown.nodes, view, ""));
  const sizes = sizesOf(shown.nodes);
  const groupOf = (n) => {
    const groups = groupsOf(n);
    const closed = groups.find((g) => view.closed.includes(g.id));
    let group = closed || groups.find((g) => g.level === level || g.level === externals);
    while (group && !closed && view.open.includes(group.id)) {
      const { id } = group;
      const next = sizes.get(id) > mostNodes ? finer[group.level] : [];
      group = groups.find((g) => next.includes(g.level) && sizes.get(g.id) > 1);
    }
    return group;
  };
  const into = new Map(), groups = new Map(), nodes = [];
  for (const n of shown.nodes) {
    const group = groupOf(n);
    into.set(n.id, group ? group.id : n.id);
    if (!group) nodes.push(n);
    else groups.set(group.id, withMember(groups.get(group.id) || { ...group, members: 0, publishes: new Set() }, n));
  }
  nodes.push(...groups.values());
  nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  const links = merged(shown.links.map((l) => ({ ...l, client: into.get(l.client), server: into.get(l.server) })));
  for (const l of links) {
    const group = l.client === l.server && groups.get(l.client);
    if (group) group.inside = (group.inside || 0) + 1;
  }
  return { ...shown, nodes, links, level, unusual, into, together: shown.links.length };
}

/** levelFor returns the finest level at which the nodes are few enough; that of hosts only if there are several. */
function levelFor(nodes, externals, most) {
  const several = new Set(nodes.map((n) => n.host).filter(Boolean)).size > 1;
  const counts = ["none", "service", "project", several && "host", "image"].filter(Boolean).map((level) => {
    const ids = nodes.map((n) => (groupsOf(n).find((g) => g.level === level || g.level === externals) || n).id);
    return [level, new Set(ids).size];
  });
  const fits = counts.find(([, n]) => n <= most);
  return fits ? fits[0] : counts.reduce((a, b) => (b[1] < a[1] ? b : a))[0];
}

function sizesOf(nodes) {
  const sizes = new Map();
  for (const n of nodes) for (const g of groupsOf(n)) sizes.set(g.id, (sizes.get(g.id) || 0) + 1);
  return sizes;
}

/** withMember adds a node to a group, which keeps what all have in common. */
function withMember(group, n) {
  if (group.host !== n.host) group.host = undefined;
  if (group.image !== n.image) group.image = undefined;
  group.stale ||= n.stale;
  group.unread = (group.unread || 0) + (n.reason ? 1 : 0);
  group.past = ((group.members === 0 || group.past) && n.past) || undefined;
  for (const port of portsOf(n)) group.publishes.add(port);
  group.members++;
  return group;
}

const vias = ["direct", "published", "host", "loopback"];
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** byKey orders links by what tells them apart, as /v1/graph does. */
const byKey = (a, b) => compare(a.client, b.client) || compare(a.server, b.server) || a.port - b.port || vias.indexOf(a.via) - vias.indexOf(b.via);

/** keyOf tells a link from the others. */
export const keyOf = (l) => [l.client, l.server, l.port, l.via].join(" ");

function merged(links) {
  links.sort(byKey);
  const all = [];
  for (const l of links) {
    const last = all[all.length - 1];
    if (last && byKey(last, l) === 0) all[all.length - 1] = together(last, l);
    else all.push(l);
  }
  return all;
}

function together(a, b) {
  return {
    ...a,
    evidence: a.evidence === b.evidence ? a.evidence : "both",
    measured: measuredTogether(a, b),
    fresh: (a.fresh || 0) + (b.fresh || 0) || undefined,
    connections: a.connections + b.connections, closed: a.closed + b.closed, live: a.live || b.live,
    firstSeen: a.firstSeen < b.firstSeen ? a.firstSeen : b.firstSeen,
    lastSeen: a.lastSeen > b.lastSeen ? a.lastSeen : b.lastSeen,
  };
}

function measuredTogether(a, b) {
  if (!a.measured || !b.measured) return a.measured || b.measured;
  const total = Math.max(a.connections + b.connections, 1);
  return {
    rttMicroseconds: Math.floor((a.measured.rttMicroseconds * a.connections + b.measured.rttMicroseconds * b.connections) / total),
    bytesSent: a.measured.bytesSent + b.measured.bytesSent,
    bytesReceived: a.measured.bytesReceived + b.measured.bytesReceived,
  };
}

/** groupsHolding returns the IDs of the closed groups that hide a node from a view, or would once others are opened. */
export const groupsHolding = (n) => groupsOf(n).map((g) => g.id);
