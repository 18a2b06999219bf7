// Where what is new on a map goes, without moving what is there: boxes follow, and only where there is no room some is made.
import { between, extent, gap, inside, margin, meanHeight, meets, pad, plateRoom, surround, title, union } from "./layout.js";

/** few and many: so many new items are added in any case, or if they are not most; of more a new layout is made. */
const few = 20, many = 100;

/** mostLinks is beside how many of those that it is linked with an item looks for a place. */
const mostLinks = 8;

/**
 * placeNew adds items to places that a layout made. isAlive tells of an ID in places whether that may come back: the place of
 * what may not is had by the next. homes has the items as they were last, by their IDs, those too that are not shown now. It
 * reports whether that was of use: not if too many are new.
 */
export function placeNew(items, lines, places, { isAlive = () => true, homes = new Map(), plates = () => 0 } = {}) {
  for (const { id, boxes } of items) if (homes.has(id) && String(homes.get(id).boxes) !== String(boxes)) places.delete(id);
  const fresh = items.filter((item) => !places.has(item.id));
  const wider = items.filter((item) => places.get(item.id)?.w < item.w);
  if (!fresh.length && !wider.length && items.every((item) => item.boxes.every((id) => places.has(id)))) return true;
  if (fresh.length > Math.max(few, Math.min(many, items.length / 2))) return false;
  const ground = new Ground(items, lines, places, isAlive, homes);
  ground.settleBoxes();
  wider.forEach((item) => ground.widen(item));
  for (const item of items) if (!places.has(item.id)) ground.place(item);
  ground.shrinkBoxes(plates);
  return true;
}

const isBox = (id) => id.startsWith("box ");

/** Ground is what has which place, and where there is room. */
class Ground {
  constructor(items, lines, places, isAlive, homes) {
    Object.assign(this, { items, places, isAlive });
    this.homes = new Map([...homes, ...items.map((item) => [item.id, item])]);
    this.boxes = new Map(); // to those around each, of what is not shown now too
    for (const [id, { boxes }] of this.homes) if (isAlive(id)) boxes.forEach((box, i) => this.boxes.set(box, boxes.slice(0, i)));
    this.innermost = [...this.boxes.keys()].sort((a, b) => this.boxes.get(b).length - this.boxes.get(a).length);
    this.linked = new Map();
    for (const [a, b] of lines) {
      for (const [id, other, isClient] of [[a, b, true], [b, a, false]]) {
        if (!this.linked.has(id)) this.linked.set(id, []);
        this.linked.get(id).push({ other, isClient });
      }
    }
  }

  /** nodes are the IDs and places of all that is shown, or may be again. */
  nodes() { return [...this.places].filter(([id]) => !isBox(id) && this.isAlive(id)); }

  /** standing are the boxes that have a place, the innermost first. */
  standing() { return this.innermost.filter((id) => this.places.has(id)); }

  #isWithin(id, box) { return !!this.homes.get(id)?.boxes.includes(box); }

  #innerOf(box) { return [...this.boxes.keys()].filter((id) => this.boxes.get(id).includes(box)); }

  /** #outside returns the places that a box must not take. */
  #outside(box) {
    const apart = (other) => other !== box && !this.boxes.get(other).includes(box) && !this.boxes.get(box).includes(other);
    return [
      ...this.nodes().filter(([id]) => !this.#isWithin(id, box)).map(([, p]) => p),
      ...this.standing().filter(apart).map((other) => this.places.get(other)),
    ];
  }

  #placesOf(ids) { return ids.map((id) => this.places.get(id)).filter(Boolean); }

  /** settleBoxes draws boxes around what is in them. Where that cannot be, what is in one has no place any more. */
  settleBoxes() {
    for (const box of this.innermost) {
      const within = [...this.items.filter((item) => item.boxes.includes(box)).map((item) => item.id), ...this.#innerOf(box)];
      const held = this.#placesOf(within);
      const parts = [...this.#placesOf([box]), ...(held.length ? [surround(held.reduce(union))] : [])];
      if (!parts.length) continue;
      const place = parts.reduce(union);
      if (place.x >= 0 && place.y >= 0 && !this.#outside(box).some((o) => meets(place, o))) this.places.set(box, place);
      else for (const id of [box, ...within]) this.places.delete(id);
    }
  }

  /** shrinkBoxes takes back the room at right and lower walls that nothing needs any more. */
  shrinkBoxes(plates) {
    for (const box of this.standing()) {
      const place = this.places.get(box);
      const within = this.nodes().filter(([id]) => this.#isWithin(id, box)).map(([, p]) => p);
      const held = surround([...within, ...this.#placesOf(this.#innerOf(box))].reduce(union));
      const h = Math.max(held.y + held.h - place.y, plates(box) * plateRoom + title);
      this.places.set(box, { ...place, w: Math.min(place.w, held.x + held.w - place.x), h: Math.min(place.h, h) });
    }
  }

  /** widen makes room for an item that was narrower, as without the sign of what could not be read. */
  widen(item) {
    const at = this.places.get(item.id);
    if (!at) return; // nor will it be where it was
    this.places.delete(item.id);
    if (this.#settle(item, [at])) return;
    this.places.set(item.id, at);
    stretch(this.places, "x", "w", at.x + at.w, item.w - at.w);
    this.places.set(item.id, { ...at, w: item.w });
  }

  /** place gives a place to an item, and to the boxes around it that have none. */
  place(item) {
    if (item.side) {
      this.places.set(item.id, this.#atEdge(item));
      return;
    }
    if (this.#settle(item, this.#gone(item).filter((spot) => this.#isBetween(item, spot)))) return;
    if (this.#settle(item, this.#beside(item))) return;
    if (this.#makeColumn(item) && this.#settle(item, this.#beside(item))) return;
    if (this.#settle(item, this.#elsewhere(item))) return;
    this.#put(item, this.#makeRoom(item));
  }

  /** #known are the boxes around an item that have a place, the outermost first. */
  #known(item) { return item.boxes.filter((id) => this.places.has(id)); }

  #fresh(item) { return item.boxes.filter((id) => !this.places.has(id)); }

  /** #sizeOf is that of an item with the boxes that are new with it. */
  #sizeOf(item) {
    const { w, h } = this.#fresh(item).reduce(surround, { x: 0, y: 0, w: item.w, h: item.h });
    return { w, h };
  }

  /** #settle puts an item at the first spot where there is room for it, and for the boxes around it, which grow. */
  #settle(item, spots) {
    const known = this.#known(item), size = this.#sizeOf(item);
    const taken = [...this.nodes().map(([, p]) => p), ...this.#placesOf(this.standing().filter((b) => !known.includes(b)))];
    const walls = known.toReversed().map((id) => [id, this.#outside(id)]);
    for (const { x, y } of spots) {
      const place = { x, y, ...size };
      if (x < margin || y < margin || taken.some((o) => meets(place, o, gap))) continue;
      let held = place;
      const grown = walls.map(([id, out]) => [id, out, (held = union(this.places.get(id), surround(held)))]);
      if (grown.some(([, out, g]) => g.x < 0 || g.y < 0 || out.some((o) => meets(g, o, 4)))) continue;
      grown.forEach(([id, , g]) => this.places.set(id, g));
      this.#put(item, place);
      return true;
    }
    return false;
  }

  #put(item, place) {
    for (const id of this.#fresh(item)) {
      this.places.set(id, place);
      place = inside(place);
    }
    this.places.set(item.id, place);
  }

  /** #beside are spots to the left of what an item calls, and to the right of what calls it. */
  * #beside(item) {
    const { w, h } = this.#sizeOf(item);
    const others = (this.linked.get(item.id) || []).filter(({ other }) => this.places.has(other)).slice(0, mostLinks);
    for (const { other, isClient } of others) {
      const at = this.places.get(other);
      const x = isClient ? at.x - between - w : at.x + at.w + between;
      for (let i = 0; i < 24; i++) yield { x, y: at.y + (at.h - h) / 2 + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * (item.h + gap) };
    }
  }

  /** #makeColumn makes room to the left of what an item calls in its own box. */
  #makeColumn(item) {
    const home = String(item.boxes);
    const server = (this.linked.get(item.id) || []).find(({ other, isClient }) => isClient && this.places.has(other) && String(this.homes.get(other)?.boxes) === home);
    if (!server) return false;
    stretch(this.places, "x", "w", this.places.get(server.other).x, item.w + between);
    return true;
  }

  /** #gone are the spots in an item's box where others were that are gone, the last first. */
  #gone(item) {
    const box = this.places.get(this.#known(item).at(-1));
    return [...this.places].filter(([id, p]) => !isBox(id) && !this.isAlive(id) && (!box || meets(p, box))).map(([, p]) => p).toReversed();
  }

  /** #isBetween reports whether a spot is to the left of all that an item calls, and to the right of all that call it. */
  #isBetween(item, { x }) {
    return (this.linked.get(item.id) || []).every(({ other, isClient }) => {
      const at = this.places.get(other);
      return !at || (isClient ? x + item.w < at.x : x > at.x + at.w);
    });
  }

  /** #elsewhere are spots in an item's box: where others were that are gone, in its first row, and below; or to the right of all. */
  * #elsewhere(item) {
    const { w, h } = this.#sizeOf(item);
    const box = this.places.get(this.#known(item).at(-1));
    yield* this.#gone(item);
    if (box) {
      for (const y of [inside(box).y, box.y + box.h - pad + gap]) {
        for (let x = box.x + pad; x + w <= box.x + box.w; x += w + gap) yield { x, y };
      }
      yield { x: box.x + box.w, y: inside(box).y };
    }
    const all = extent([...this.nodes().map(([, p]) => p), ...this.#placesOf(this.standing())]);
    for (let x = margin; x < all.w; x += w + gap) yield { x, y: all.h };
    yield { x: all.w, y: margin };
  }

  /** #makeRoom makes an item's box larger at its lower end, moves what is in the way, and returns the place that is free now. */
  #makeRoom(item) {
    const size = this.#sizeOf(item), box = this.places.get(this.#known(item).at(-1));
    const spot = { x: box.x + pad, y: box.y + box.h - pad + gap };
    stretch(this.places, "y", "h", box.y + box.h, size.h + gap);
    if (size.w + 2 * pad > box.w) stretch(this.places, "x", "w", box.x + box.w, size.w + 2 * pad - box.w);
    return { ...spot, ...size };
  }

  /** #atEdge returns a place in the column at an item's edge of the map, near the height of what it is linked with. */
  #atEdge(item) {
    const nodes = this.nodes();
    const column = nodes.filter(([id]) => this.homes.get(id)?.side === item.side).map(([, p]) => p);
    const rest = [...nodes.filter(([id]) => !this.homes.get(id)?.side).map(([, p]) => p), ...this.#placesOf(this.standing())];
    const x = column.length ? Math.min(...column.map((p) => p.x)) : item.side === "left" ? margin : extent(rest).w - margin + between;
    if (item.side === "left" && rest.length) {
      const clear = Math.min(...rest.map((p) => p.x)), lacking = x + item.w + between - clear;
      if (lacking > 0) stretch(this.places, "x", "w", clear, lacking);
    }
    const taken = [...this.nodes().map(([, p]) => p), ...this.#placesOf(this.standing())];
    const wanted = Math.max(margin, meanHeight((this.linked.get(item.id) || []).map(({ other }) => this.places.get(other))) - item.h / 2);
    for (let i = 0; ; i++) {
      const place = { x, y: wanted + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * (item.h + gap), w: item.w, h: item.h };
      if (place.y >= margin && !taken.some((o) => meets(place, o, gap))) return place;
    }
  }
}

/** stretch moves all that begins behind a line, and lengthens the boxes across it. */
function stretch(places, start, length, line, by) {
  for (const [id, p] of places) {
    if (p[start] >= line) places.set(id, { ...p, [start]: p[start] + by });
    else if (isBox(id) && p[start] + p[length] >= line) places.set(id, { ...p, [length]: p[length] + by });
  }
}
