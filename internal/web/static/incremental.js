// Incremental layout: it adds new nodes to a map without moving the others. Boxes grow, and nodes move only if there is no room.
import { extent, gap, inside, isBox, margin, overlaps, pad, pitch, snap, surround, union } from "./lattice.js";
import { spacings } from "./layout.js";

const [between] = spacings; // the distances of a new client and its server

/** Up to minInserts new items are always inserted; up to maxInserts if they are at most half of all. More need a new layout. */
const minInserts = 20, maxInserts = 100;

/** maxNeighbours is the number of linked items beside which a new item looks for a place. */
const maxNeighbours = 8;

/**
 * insertNodes adds new items to the places of an earlier layout. It returns false, and leaves the rest undone, if too many are new.
 * isAlive reports whether the item or box with an ID still exists, shown or hidden. Places of removed items are free for others.
 * previous are the items as they were placed last, by their IDs, including those that are hidden now. style is that of the layout.
 */
export function insertNodes(items, lines, places, { isAlive = () => true, previous = new Map(), style = { inner: "right", edges: "sides" } } = {}) {
  for (const { id, boxes } of items) if (previous.has(id) && String(previous.get(id).boxes) !== String(boxes)) places.delete(id);
  const fresh = items.filter((item) => !places.has(item.id));
  const wider = items.filter((item) => places.get(item.id)?.w < item.w);
  if (!fresh.length && !wider.length && items.every((item) => item.boxes.every((id) => places.has(id)))) return true;
  if (fresh.length > Math.max(minInserts, Math.min(maxInserts, items.length / 2))) return false;
  const placer = new Placer(items, lines, places, isAlive, previous, style);
  placer.growBoxes();
  wider.forEach((item) => placer.widen(item));
  for (const item of items) if (!places.has(item.id)) placer.place(item);
  placer.shrinkBoxes();
  return true;
}

const maxDistance = 24; // steps of the lattice from the point at which a moved item was dropped

/** moveNode moves an item to the free spot nearest to a point. Its boxes grow if there is room. Without a free spot it stays. */
export function moveNode(items, places, { id, x, y }, { isAlive, previous, style }) {
  const item = items.find((i) => i.id === id), before = places.get(id);
  if (!item || !before) return;
  places.delete(id);
  const placer = new Placer(items, [], places, isAlive, previous, style);
  if (placer.tryPlaces({ ...item, w: before.w, h: before.h }, around({ x: snap(x), y: snap(y) }))) placer.shrinkBoxes();
  else places.set(id, before);
}

/** around returns the points of the lattice near a point, the nearest first. */
function around({ x, y }) {
  const steps = Array.from({ length: 2 * maxDistance + 1 }, (_, i) => (i - maxDistance) * pitch);
  return steps.flatMap((dx) => steps.map((dy) => ({ dx, dy }))).sort((a, b) => Math.hypot(a.dx, a.dy) - Math.hypot(b.dx, b.dy)).map(({ dx, dy }) => ({ x: x + dx, y: y + dy }));
}

const horizontal = { start: "x", length: "w", side: "y", breadth: "h" };
const vertical = { start: "y", length: "h", side: "x", breadth: "w" };

/** Placer finds room for single items among the places that are taken. */
class Placer {
  constructor(items, lines, places, isAlive, previous, style) {
    Object.assign(this, { items, places, isAlive });
    this.flow = style.inner === "down" ? vertical : horizontal; // from clients to servers
    this.outward = style.edges === "sides" ? horizontal : vertical; // from the map to its edges with external addresses
    this.between = between[style.inner] ?? between.right;
    this.previous = new Map([...previous, ...items.map((item) => [item.id, item])]);
    this.boxes = new Map(); // the boxes around each box, including those around hidden items
    for (const [id, { boxes }] of this.previous) if (isAlive(id)) boxes.forEach((box, i) => this.boxes.set(box, boxes.slice(0, i)));
    this.innermost = [...this.boxes.keys()].sort((a, b) => this.boxes.get(b).length - this.boxes.get(a).length);
    this.linked = new Map();
    for (const [a, b] of lines) {
      for (const [id, other, isClient] of [[a, b, true], [b, a, false]]) {
        if (!this.linked.has(id)) this.linked.set(id, []);
        this.linked.get(id).push({ other, isClient });
      }
    }
  }

  /** nodes returns the IDs and places of all items that exist, shown or hidden. */
  nodes() { return [...this.places].filter(([id]) => !isBox(id) && this.isAlive(id)); }

  /** placedBoxes returns the boxes that have a place, the innermost first. */
  placedBoxes() { return this.innermost.filter((id) => this.places.has(id)); }

  #isWithin(id, box) { return !!this.previous.get(id)?.boxes.includes(box); }

  #innerBoxes(box) { return [...this.boxes.keys()].filter((id) => this.boxes.get(id).includes(box)); }

  /** #obstacles returns the places that a box must not overlap. */
  #obstacles(box) {
    const apart = (other) => other !== box && !this.boxes.get(other).includes(box) && !this.boxes.get(box).includes(other);
    return [
      ...this.nodes().filter(([id]) => !this.#isWithin(id, box)).map(([, p]) => p),
      ...this.placedBoxes().filter(apart).map((other) => this.places.get(other)),
    ];
  }

  #placesOf(ids) { return ids.map((id) => this.places.get(id)).filter(Boolean); }

  /** growBoxes extends boxes to contain their items. If a box would overlap others, it and its items lose their places. */
  growBoxes() {
    for (const box of this.innermost) {
      const within = [...this.items.filter((item) => item.boxes.includes(box)).map((item) => item.id), ...this.#innerBoxes(box)];
      const held = this.#placesOf(within);
      const parts = [...this.#placesOf([box]), ...(held.length ? [surround(held.reduce(union))] : [])];
      if (!parts.length) continue;
      const place = parts.reduce(union);
      if (place.x >= 0 && place.y >= 0 && !this.#obstacles(box).some((o) => overlaps(place, o))) this.places.set(box, place);
      else for (const id of [box, ...within]) this.places.delete(id);
    }
  }

  /** shrinkBoxes removes unused room at the right and lower walls. */
  shrinkBoxes() {
    for (const box of this.placedBoxes()) {
      const place = this.places.get(box);
      const within = this.nodes().filter(([id]) => this.#isWithin(id, box)).map(([, p]) => p);
      const held = surround([...within, ...this.#placesOf(this.#innerBoxes(box))].reduce(union));
      this.places.set(box, { ...place, w: Math.min(place.w, held.x + held.w - place.x), h: Math.min(place.h, held.y + held.h - place.y) });
    }
  }

  /** widen makes room for an item that became wider, for example by the sign of an incomplete container. */
  widen(item) {
    const at = this.places.get(item.id);
    if (!at) return; // growBoxes removed its place
    this.places.delete(item.id);
    if (this.tryPlaces(item, [at])) return;
    this.places.set(item.id, at);
    shiftBeyond(this.places, horizontal, at.x + at.w, item.w - at.w);
    this.places.set(item.id, { ...at, w: item.w });
  }

  /** place sets the place of an item, and of the boxes around it that have none. */
  place(item) {
    if (item.side) {
      this.places.set(item.id, this.#atEdge(item));
      return;
    }
    if (this.tryPlaces(item, this.#vacated(item).filter((spot) => this.#isBetween(item, spot)))) return;
    if (this.tryPlaces(item, this.#beside(item))) return;
    if (this.#insertRank(item) && this.tryPlaces(item, this.#beside(item))) return;
    if (this.tryPlaces(item, this.#elsewhere(item))) return;
    this.#put(item, this.#makeRoom(item));
  }

  /** #boxesWithPlace returns the boxes around an item that have a place, the outermost first. */
  #boxesWithPlace(item) { return item.boxes.filter((id) => this.places.has(id)); }

  #newBoxes(item) { return item.boxes.filter((id) => !this.places.has(id)); }

  /** #size returns the size of an item together with the new boxes around it. */
  #size(item) {
    const { w, h } = this.#newBoxes(item).reduce(surround, { x: 0, y: 0, w: item.w, h: item.h });
    return { w, h };
  }

  /** tryPlaces puts an item at the first spot with room for it and for the boxes around it, which grow. It reports success. */
  tryPlaces(item, spots) {
    const known = this.#boxesWithPlace(item), size = this.#size(item);
    const taken = [...this.nodes().map(([, p]) => p), ...this.#placesOf(this.placedBoxes().filter((b) => !known.includes(b)))];
    const walls = known.toReversed().map((id) => [id, this.#obstacles(id)]);
    for (const spot of spots) {
      const x = snap(spot.x), y = snap(spot.y), place = { x, y, ...size };
      if (x < margin || y < margin || taken.some((o) => overlaps(place, o, gap))) continue;
      let held = place;
      const grown = walls.map(([id, out]) => [id, out, (held = union(this.places.get(id), surround(held)))]);
      if (grown.some(([, out, g]) => g.x < 0 || g.y < 0 || out.some((o) => overlaps(g, o, pitch)))) continue;
      grown.forEach(([id, , g]) => this.places.set(id, g));
      this.#put(item, place);
      return true;
    }
    return false;
  }

  #put(item, place) {
    for (const id of this.#newBoxes(item)) {
      this.places.set(id, place);
      place = inside(place);
    }
    this.places.set(item.id, place);
  }

  /** #beside yields spots before the servers of an item, and after its clients. */
  * #beside(item) {
    const size = this.#size(item), { start, length, side, breadth } = this.flow;
    const others = (this.linked.get(item.id) || []).filter(({ other }) => this.places.has(other)).slice(0, maxNeighbours);
    for (const { other, isClient } of others) {
      const at = this.places.get(other);
      const position = isClient ? at[start] - this.between - size[length] : at[start] + at[length] + this.between;
      for (let i = 0; i < 24; i++) {
        yield { [start]: position, [side]: at[side] + (at[breadth] - size[breadth]) / 2 + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * (item[breadth] + gap) };
      }
    }
  }

  /** #insertRank makes room before a server of an item in the same box. It reports whether there is such a server. */
  #insertRank(item) {
    const boxes = String(item.boxes);
    const server = (this.linked.get(item.id) || []).find(({ other, isClient }) => isClient && this.places.has(other) && String(this.previous.get(other)?.boxes) === boxes);
    if (!server) return false;
    const { start, length } = this.flow;
    shiftBeyond(this.places, this.flow, this.places.get(server.other)[start], item[length] + this.between);
    return true;
  }

  /** #vacated returns the spots in the box of an item that removed items have left, the latest first. */
  #vacated(item) {
    const box = this.places.get(this.#boxesWithPlace(item).at(-1));
    return [...this.places].filter(([id, p]) => !isBox(id) && !this.isAlive(id) && (!box || overlaps(p, box))).map(([, p]) => p).toReversed();
  }

  /** #isBetween reports whether a spot is before all servers of an item, and after all its clients. */
  #isBetween(item, spot) {
    const { start, length } = this.flow;
    return (this.linked.get(item.id) || []).every(({ other, isClient }) => {
      const at = this.places.get(other);
      return !at || (isClient ? spot[start] + item[length] < at[start] : spot[start] > at[start] + at[length]);
    });
  }

  /** #elsewhere yields other spots: vacated ones in the box of an item, its first row, below and right of it, and outside of all. */
  * #elsewhere(item) {
    const { w } = this.#size(item);
    const box = this.places.get(this.#boxesWithPlace(item).at(-1));
    yield* this.#vacated(item);
    if (box) {
      for (const y of [inside(box).y, box.y + box.h - pad + gap]) {
        for (let x = box.x + pad; x + w <= box.x + box.w; x += w + gap) yield { x, y };
      }
      yield { x: box.x + box.w, y: inside(box).y };
    }
    const all = extent([...this.nodes().map(([, p]) => p), ...this.#placesOf(this.placedBoxes())]);
    for (let x = margin; x < all.w; x += w + gap) yield { x, y: all.h };
    yield { x: all.w, y: margin };
  }

  /** #makeRoom extends the box of an item at its lower end, moves what is in the way, and returns the place that became free. */
  #makeRoom(item) {
    const size = this.#size(item), box = this.places.get(this.#boxesWithPlace(item).at(-1));
    const spot = { x: box.x + pad, y: box.y + box.h - pad + gap };
    shiftBeyond(this.places, vertical, box.y + box.h, size.h + gap);
    if (size.w + 2 * pad > box.w) shiftBeyond(this.places, horizontal, box.x + box.w, size.w + 2 * pad - box.w);
    return { ...spot, ...size };
  }

  /** #atEdge returns a place at the edge of the map, near the middle of the linked items. */
  #atEdge(item) {
    const { start, length, side, breadth } = this.outward;
    const nodes = this.nodes();
    const edge = nodes.filter(([id]) => this.previous.get(id)?.side === item.side).map(([, p]) => p);
    const rest = [...nodes.filter(([id]) => !this.previous.get(id)?.side).map(([, p]) => p), ...this.#placesOf(this.placedBoxes())];
    const end = Math.max(...rest.map((p) => p[start] + p[length]), margin);
    const at = edge.length ? Math.min(...edge.map((p) => p[start])) : item.side === "first" ? margin : end + this.between;
    if (item.side === "first" && rest.length) {
      const clear = Math.min(...rest.map((p) => p[start])), lacking = at + item[length] + this.between - clear;
      if (lacking > 0) shiftBeyond(this.places, this.outward, clear, lacking);
    }
    const taken = [...this.nodes().map(([, p]) => p), ...this.#placesOf(this.placedBoxes())];
    const peers = (this.linked.get(item.id) || []).map(({ other }) => this.places.get(other)).filter(Boolean);
    const wanted = Math.max(margin, peers.reduce((sum, p) => sum + p[side] + p[breadth] / 2, 0) / Math.max(1, peers.length) - item[breadth] / 2);
    for (let i = 0; ; i++) {
      const place = { [start]: at, [side]: snap(wanted + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * (item[breadth] + gap)), w: item.w, h: item.h };
      if (place[side] >= margin && !taken.some((o) => overlaps(place, o, gap))) return place;
    }
  }
}

/** shiftBeyond moves all places that start beyond a line, and lengthens the boxes that cross it. */
function shiftBeyond(places, { start, length }, line, by) {
  for (const [id, p] of places) {
    if (p[start] >= line) places.set(id, { ...p, [start]: p[start] + by });
    else if (isBox(id) && p[start] + p[length] >= line) places.set(id, { ...p, [length]: p[length] + by });
  }
}
