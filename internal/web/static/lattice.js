// The lattice on which nodes, boxes and lines lie. A place is {x, y, w, h}: the upper left corner and the size, in px at scale 1.

/** pitch is the distance of lines that run side by side. Places and sizes are multiples of it. */
export const pitch = 8;

/** gap is the least distance of two nodes: room for one line between them. */
export const gap = 2 * pitch;

export const margin = 2 * pitch; // around the map
export const pad = 2 * pitch; // between a box and its content
export const title = 3 * pitch; // the height of a box's title

/** titleMargin is the room at both sides of a box's title, in px. */
export const titleMargin = 12;

/** titleText returns the place of the title of a box. The width of the title contains its margins. */
export const titleText = ({ x, y }, width) => ({ x: x + titleMargin, y: y + pitch / 2, w: width - 2 * titleMargin, h: 2 * pitch });

export const snap = (n) => Math.round(n / pitch) * pitch;
export const snapUp = (n) => Math.ceil(n / pitch) * pitch;

/** surround returns the box around a place. */
export const surround = (p) => ({ x: p.x - pad, y: p.y - title - pitch, w: p.w + 2 * pad, h: p.h + title + pitch + pad });

/** inside returns the place inside a box. */
export const inside = (box) => ({ x: box.x + pad, y: box.y + title + pitch, w: box.w - 2 * pad, h: box.h - title - pitch - pad });

/** union returns the smallest place that contains both. */
export function union(a, b) {
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

/** overlaps reports whether two places are closer than a distance. */
export const overlaps = (a, b, distance = 0) =>
  a.x < b.x + b.w + distance && b.x < a.x + a.w + distance && a.y < b.y + b.h + distance && b.y < a.y + a.h + distance;

/** extent returns the size of all places with the margin, measured from the origin. */
export function extent(places) {
  let w = 0, h = 0;
  for (const p of places) {
    w = Math.max(w, p.x + p.w);
    h = Math.max(h, p.y + p.h);
  }
  return { w: w + margin, h: h + margin };
}

/** isBox reports whether an ID is that of a box. */
export const isBox = (id) => id.startsWith("box ");
