// Changes over time: the graph of an earlier time, and what is new or gone since then. The server has the same in graph/changes.go.
import { formatCount, formatNumber, formatTime, isGroup } from "./format.js";

/**
 * atTime returns the nodes and links of an earlier time in ms: those seen by then. Links are past if they had ended more than period ms
 * before. Counts are unknown.
 */
export function atTime({ nodes, links }, at, period) {
  const then = links.filter((l) => Date.parse(l.firstSeen) <= at).map((l) =>
    ({ ...l, live: l.live || Date.parse(l.lastSeen) >= at || Date.parse(l.lastSeen) > at - period, connections: 0, closed: 0, attempts: undefined, measured: undefined, counters: undefined, countsUnknown: true }));
  const linked = new Set(then.flatMap((l) => [l.client, l.server]));
  const existed = nodes.filter((n) => !(Date.parse(n.firstSeen) > at) || linked.has(n.id));
  return { nodes: existed.map((n) => undoReplacements(n.past && Date.parse(n.lastSeen) >= at ? { ...n, past: undefined } : n, at)), links: then };
}

/** undoReplacements returns a container with the image that ran in its place at an earlier time in ms, and only the predecessors before that. */
function undoReplacements(node, at) {
  const later = (node.predecessors || []).filter((p) => Date.parse(p.lastSeen) >= at), before = node.predecessors?.slice(later.length);
  return later.length ? { ...node, image: later.at(-1).image, predecessors: before.length ? before : undefined } : node;
}

/** isReplaced reports whether a container has replaced another one since a time in ms. */
export const isReplaced = (node, since) => !node.past && Date.parse(node.predecessors?.[0]?.lastSeen) >= since;

/** markChanges marks what is new, replaced or gone since a time in ms. Nothing of the first map, at dataSince, is new: it may be older. */
export function markChanges({ nodes, links }, since, dataSince) {
  const isSince = (time) => Date.parse(time) >= since, isNew = (time) => isSince(time) && !(Date.parse(time) <= Date.parse(dataSince));
  return {
    nodes: nodes.map((n) => {
      const marks = { ...(n.kind === "container" && isNew(n.firstSeen) && { new: true }), ...(n.past && isSince(n.lastSeen) && { gone: true }), ...(isReplaced(n, since) && { replaced: true }) };
      return marks.new || marks.gone || marks.replaced ? { ...n, ...marks } : n;
    }),
    links: links.map((l) => {
      const marks = { ...(isNew(l.firstSeen) && { newLinks: 1 }), ...(!l.live && !l.closed && isSince(l.lastSeen) && { goneLinks: 1 }) };
      return marks.newLinks || marks.goneLinks ? { ...l, ...marks } : l;
    }),
  };
}

/** changeCounts returns how many containers of a node, or links of a link, are new and gone. */
export const changeCounts = (thing) =>
  isGroup(thing) ? { added: thing.newMembers, gone: thing.goneMembers } : { added: thing.newLinks || (thing.new ? 1 : 0), gone: thing.goneLinks || (thing.gone ? 1 : 0) };

/** isGone reports whether a link is gone: of a link between groups, all links that it stands for. */
export const isGone = (l) => l.goneLinks > 0 && !l.live;

/** lineChange writes what changed about the links of a line: new, gone, or the numbers of those that are. It is empty if nothing did. */
export function lineChange(links) {
  const part = (name, isWhole, word) => {
    const changed = links.reduce((sum, l) => sum + (l[name] || 0), 0);
    return isWhole ? word : changed && `${formatNumber(changed)} ${word}`;
  };
  return [part("newLinks", links.every((l) => l.newLinks), "new"), part("goneLinks", links.every(isGone), "gone")].filter(Boolean).join(", ");
}

/** describeChanges counts the changes since a time in ms. start is the time of the first data, and now the server's. */
export function describeChanges({ nodes, links }, since, start, now) {
  const count = (things, noun, isShort) => {
    const all = things.map(changeCounts), sum = (name) => all.reduce((total, c) => total + c[name], 0);
    const added = sum("added"), gone = sum("gone");
    return [added && formatCount(added, `new ${noun}`), gone && `${added && isShort ? formatNumber(gone) : formatCount(gone, noun)} gone`];
  };
  const replaced = nodes.reduce((sum, n) => sum + (isGroup(n) ? n.replacedMembers : n.replaced ? 1 : 0), 0);
  const changes = [...count(links, "link", true), ...count(nodes, "container", false), replaced && `${formatCount(replaced, "container")} replaced`].filter(Boolean).join(", ") || "no changes";
  return `${changes} since ${formatTime(Math.max(since, start), now).replace(/:\d\d$/, "")}${start > since ? ", when the data begins" : ""}`;
}
