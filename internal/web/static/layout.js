// The layout of nodes in nested boxes, with clients to the left of their servers. Lengths are in pixels at scale 1. A place is
// {x, y, w, h}: the upper left corner and the size.
import dagre from "./vendor/dagre-3.1.3.esm.js";

export const pad = 14; // between a box and its content

/** title is the height of a box's title. */
export const title = 22;

export const gap = 16; // between nodes of one column
export const columnGap = 84; // between columns: room for the label of a line
export const margin = 24; // around the map
const portBadgeWidth = 40; // room for a port badge to the left of all boxes

/** portBadgeSlot is the height that a port badge takes at a wall. */
export const portBadgeSlot = 24;

/** dagreLimits are the nodes or lines of one box, and the nodes of the map, above which dagre takes longer than a user waits. */
const dagreLimits = { nodes: 40, lines: 90, all: 250 };

/**
 * layout returns the places of items and boxes by their IDs. An item is {id, w, h, boxes, side}: boxes are the IDs of the boxes
 * around it, the outermost first; side ("left" or "right") puts it at that edge of the map. Lines are pairs of item IDs.
 * badges returns the number of port badges at the left wall of a box.
 */
export function layout(items, lines, badges = () => 0) {
  const root = buildTree(items, lines, badges);
  const children = root.children.filter((c) => !c.side);
  const size = arrange({ children, lines: root.lines.filter(([a, b]) => !a.side && !b.side) }, items.length > dagreLimits.all);
  const places = new Map();
  toAbsolute(children, margin + (columnWidth(root, "left", size.h) || portBadgeWidth), margin, places);
  column(root, "left", margin, size.h, places);
  column(root, "right", extent([...places.values()]).w - margin + columnGap, size.h, places);
  return places;
}

/** toAbsolute converts places relative to their box into places on the map. */
function toAbsolute(children, x, y, places) {
  for (const c of children) {
    places.set(c.id, { x: x + c.x, y: y + c.y, w: c.w, h: c.h });
    if (c.children) toAbsolute(c.children, x + c.x, y + c.y, places);
  }
}

/** buildTree returns the root box. Each line belongs to the innermost box that contains both of its ends. */
function buildTree(items, lines, badges) {
  const root = { id: "", children: [], lines: [] }, boxes = new Map(), paths = new Map();
  for (const item of items) {
    let box = root;
    const path = [root];
    for (const id of item.boxes) {
      if (!boxes.has(id)) {
        boxes.set(id, { id, children: [], lines: [], badges: badges(id) });
        box.children.push(boxes.get(id));
      }
      path.push((box = boxes.get(id)));
    }
    const leaf = { ...item };
    box.children.push(leaf);
    paths.set(item.id, [...path, leaf]);
  }
  for (const [from, to] of lines) {
    const a = paths.get(from), b = paths.get(to);
    let depth = 0;
    while (a[depth + 1] === b[depth + 1] && depth + 2 < Math.min(a.length, b.length)) depth++;
    if (a[depth + 1] !== b[depth + 1]) a[depth].lines.push([a[depth + 1], b[depth + 1]]);
  }
  return root;
}

/** arrange places the children of a box relative to its content and returns the size of the content. */
function arrange({ children, lines }, quick) {
  for (const c of children) {
    if (c.children) enclose(c, quick);
  }
  const linked = new Set(lines.flat());
  const first = children.filter((c) => linked.has(c)), rest = children.filter((c) => !linked.has(c));
  const many = quick || first.length > dagreLimits.nodes || lines.length > dagreLimits.lines;
  const size = first.length ? folded(first, lines, (many ? columns : layered)(first, lines)) : { w: 0, h: 0 };
  const packed = pack(rest.sort((a, b) => b.h - a.h), size.h ? size.h + gap : 0, Math.max(size.w, Math.sqrt(totalArea(rest) * 1.8)));
  return { w: Math.max(size.w, packed.w), h: Math.max(size.h, packed.h) };
}

/**
 * folded wraps a layout that is much wider than a screen into rows, still from left to right. With more than two
 * lines per child, left and right mean little, and it wraps at half the width.
 */
function folded(children, lines, size) {
  if (size.w < (lines.length > 2 * children.length ? 1200 : 2400) || size.w < 3 * size.h) return size;
  children.sort((a, b) => a.x - b.x || a.y - b.y);
  return pack(children, 0, Math.sqrt(totalArea(children) * 3), columnGap / 2);
}

/** enclose arranges the children of a box and sets the size of the box. */
function enclose(box, quick) {
  const { w, h } = arrange(box, quick);
  const outer = surround({ x: 0, y: 0, w, h: Math.max(h, box.badges * portBadgeSlot) });
  for (const c of box.children) {
    c.x -= outer.x;
    c.y -= outer.y;
  }
  box.w = outer.w;
  box.h = outer.h;
}

/** layered applies the layered layout of dagre. */
function layered(children, lines) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: gap, ranksep: columnGap });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const c of children) graph.setNode(c.id, { width: c.w, height: c.h });
  for (const [a, b] of lines) graph.setEdge(a.id, b.id);
  dagre.layout(graph);
  let minX = Infinity, minY = Infinity;
  for (const c of children) {
    const { x, y } = graph.node(c.id);
    c.x = x - c.w / 2;
    c.y = y - c.h / 2;
    minX = Math.min(minX, c.x);
    minY = Math.min(minY, c.y);
  }
  return bounds(children, minX, minY);
}

function bounds(children, minX, minY) {
  let w = 0, h = 0;
  for (const c of children) {
    c.x -= minX;
    c.y -= minY;
    w = Math.max(w, c.x + c.w);
    h = Math.max(h, c.y + c.h);
  }
  return { w, h };
}

/** columns is a fast layout for many nodes: a column for each rank, each node beside its clients in the columns before. */
function columns(children, lines) {
  const servers = new Map(children.map((c) => [c, new Set()])), clients = new Map(children.map((c) => [c, new Set()]));
  for (const [a, b] of lines) {
    servers.get(a).add(b);
    clients.get(b).add(a);
  }
  const rows = [];
  for (const [c, rank] of ranks(children, servers)) (rows[rank] ||= []).push(c);
  const maxPerColumn = Math.ceil(Math.sqrt(children.length) * 1.6);
  const parts = rows.flatMap((row) => {
    const height = new Map(row.map((c) => [c, meanMiddle([...clients.get(c)].filter((n) => n.y !== undefined))]));
    row.sort((a, b) => height.get(a) - height.get(b));
    stack(row, 0, 0);
    return Array.from({ length: Math.ceil(row.length / maxPerColumn) }, (_, i) => ({ members: row.slice(i * maxPerColumn, (i + 1) * maxPerColumn), first: i === 0 }));
  });
  const maxHeight = Math.max(...parts.map(({ members }) => totalHeight(members)));
  let x = 0;
  for (const { members, first } of parts) {
    x += x && (first ? columnGap : gap);
    stack(members, x, (maxHeight - totalHeight(members)) / 2);
    x += maxWidth(members);
  }
  return bounds(children, 0, 0);
}

const maxWidth = (children) => Math.max(...children.map((c) => c.w));
const totalHeight = (children) => children.reduce((sum, c) => sum + c.h + gap, -gap);

/** stack places children below each other. */
function stack(children, x, y) {
  const w = maxWidth(children);
  for (const c of children) {
    Object.assign(c, { x: x + (w - c.w) / 2, y });
    y += c.h + gap;
  }
}

/** ranks returns the column of each child: to the right of its clients, except for calls in a cycle. */
function ranks(children, servers) {
  const rank = new Map(), state = new Map(), finished = [];
  for (const start of children) {
    const pending = [[start, null]];
    while (pending.length) {
      const top = pending[pending.length - 1];
      const [c] = top;
      if (!top[1]) {
        if (state.has(c)) {
          pending.pop();
          continue;
        }
        state.set(c, "open");
        top[1] = [...servers.get(c)].filter((s) => !state.has(s));
      }
      const next = top[1].pop();
      if (next) pending.push([next, null]);
      else {
        state.set(c, "done");
        finished.push(c);
        pending.pop();
      }
    }
  }
  const position = new Map(finished.reverse().map((c, i) => [c, i]));
  for (const c of finished) {
    rank.set(c, rank.get(c) || 0);
    for (const s of servers.get(c)) {
      if (position.get(s) > position.get(c)) rank.set(s, Math.max(rank.get(s) || 0, rank.get(c) + 1));
    }
  }
  return rank;
}

const totalArea = (children) => children.reduce((sum, c) => sum + (c.w + gap) * (c.h + gap), 0);

/** pack puts children into rows that start at y and are about width wide. */
function pack(children, y, width, apart = gap) {
  let x = 0, tallest = 0, w = 0;
  for (const c of children) {
    if (x && x + c.w > width) {
      x = 0;
      y += tallest + apart;
      tallest = 0;
    }
    Object.assign(c, { x, y });
    x += c.w + apart;
    w = Math.max(w, x - apart);
    tallest = Math.max(tallest, c.h);
  }
  return { w, h: children.length ? y + tallest : 0 };
}

/** split divides the children at an edge of the map into columns that are not much taller than the map. */
function split(children, height) {
  const maxHeight = Math.max(height, 400);
  const count = Math.ceil(totalHeight(children) / maxHeight);
  const length = Math.ceil(children.length / count);
  return { maxHeight, parts: Array.from({ length: count }, (_, i) => children.slice(i * length, (i + 1) * length)) };
}

function columnWidth(root, side, height) {
  const children = root.children.filter((c) => c.side === side);
  return children.length ? split(children, height).parts.length * (maxWidth(children) + gap) - gap + columnGap : 0;
}

/** column places the children at an edge, each at the mean height of the nodes that it is linked with. */
function column(root, side, x, height, places) {
  const children = root.children.filter((c) => c.side === side);
  if (!children.length) return;
  const wanted = new Map(children.map((c) => [c, meanMiddle(root.lines.filter((l) => l.includes(c)).map(([a, b]) => places.get((a === c ? b : a).id))) - c.h / 2]));
  children.sort((a, b) => wanted.get(a) - wanted.get(b));
  const { maxHeight, parts } = split(children, height);
  for (const members of parts) {
    let y = margin, left = members.reduce((sum, c) => sum + c.h + gap, 0);
    for (const c of members) {
      y = Math.max(y, Math.min(wanted.get(c), margin + maxHeight - left)); // leaves room for the others below
      places.set(c.id, { x, y, w: c.w, h: c.h });
      y += c.h + gap;
      left -= c.h + gap;
    }
    x += maxWidth(children) + gap;
  }
}

/** meanMiddle returns the mean height of the middles of places; undefined places do not count. */
export function meanMiddle(places) {
  const known = places.filter(Boolean);
  return known.length ? known.reduce((sum, p) => sum + p.y + p.h / 2, 0) / known.length : 0;
}

/** surround returns the box around a place. */
export const surround = (p) => ({ x: p.x - pad, y: p.y - title - pad / 2, w: p.w + 2 * pad, h: p.h + title + 1.5 * pad });

/** inside returns the place inside a box. */
export const inside = (box) => ({ x: box.x + pad, y: box.y + title + pad / 2, w: box.w - 2 * pad, h: box.h - title - 1.5 * pad });

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
