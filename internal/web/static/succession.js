// Succession: a node that replaced another one, as a redeployed container does, takes its place and its lines.
import { escapePart } from "./format.js";

/** predecessorIDs returns the IDs that the predecessors of a node had. They were containers of the same host. */
export function predecessorIDs({ id, predecessors = [] }) {
  const host = id.slice(0, id.lastIndexOf("/") + 1);
  return predecessors.map((p) => host + escapePart(p.container));
}

/**
 * succeed gives new items the places of their predecessors, and new lines the routes of their predecessors' lines. It changes the
 * arrangement. isAlive reports whether the item with an ID still exists.
 */
export function succeed(items, lines, { places, routes, previous }, isAlive) {
  const former = new Map(); // the IDs of the predecessors, by those of the items that took their places
  for (const { id, predecessors = [] } of items) {
    if (places.has(id)) continue;
    const from = predecessors.find((p) => places.has(p) && !isAlive(p));
    if (!from) continue;
    former.set(id, from);
    for (const known of [places, previous]) rename(known, from, id);
  }
  if (!former.size) return;
  for (const { id, from, to } of lines) {
    const before = `${former.get(from) ?? from} ${former.get(to) ?? to}`;
    if (!routes.has(id)) rename(routes, before, id);
  }
}

function rename(map, from, to) {
  if (!map.has(from)) return;
  map.set(to, map.get(from));
  map.delete(from);
}
