// Where things are: boxes within boxes, in each of them clients to the left of what they call. All lengths are in pixels at the
// scale 1; a place is {x, y, w, h} of the left upper corner and the size.
import dagre from "./vendor/dagre-3.1.3.esm.js";

export const pad = 14; // within a box around what is in it

/** title is the height of what stands above that. */
export const title = 22;

export const gap = 16; // between what is above each other
export const between = 84; // columns: a line's label has room there
export const margin = 24; // around all
const plateWidth = 40; // so much room has a plate to the left of all boxes

/** plateRoom is the height that a plate takes at a wall. */
export const plateRoom = 24;

/** tooLarge is from how many nodes or lines of one box, or nodes of all, on dagre takes longer than a person waits. */
const tooLarge = { nodes: 40, lines: 90, all: 250 };

/**
 * layout places items and boxes. items are {id, w, h, boxes} with the IDs of the boxes around each, the outermost first;
 * lines are pairs of IDs of items; an item with a side ("left" or "right") stands at that edge of all. plates tells how many
 * plates are to fit at the left wall of a box.
 */
export function layout(items, lines, plates = () => 0) {
  const root = treeOf(items, lines, plates);
  const children = root.children.filter((c) => !c.side);
  const size = arrange({ children, lines: root.lines.filter(([a, b]) => !a.side && !b.side) }, items.length > tooLarge.all);
  const places = new Map();
  settle(children, margin + (columnWidth(root, "left", size.h) || plateWidth), margin, places);
  column(root, "left", margin, size.h, places);
  column(root, "right", extent([...places.values()]).w - margin + between, size.h, places);
  return places;
}

/** settle turns places that are relative to their box into those on the map. */
function settle(children, x, y, places) {
  for (const c of children) {
    places.set(c.id, { x: x + c.x, y: y + c.y, w: c.w, h: c.h });
    if (c.children) settle(c.children, x + c.x, y + c.y, places);
  }
}

/** treeOf returns the box around all; each line is with the innermost box that has both of its ends. */
function treeOf(items, lines, plates) {
  const root = { id: "", children: [], lines: [] }, boxes = new Map(), paths = new Map();
  for (const item of items) {
    let box = root;
    const path = [root];
    for (const id of item.boxes) {
      if (!boxes.has(id)) {
        boxes.set(id, { id, children: [], lines: [], plates: plates(id) });
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

/** arrange gives each child of a box its place in what the box holds, and returns how large that is. */
function arrange({ children, lines }, quick) {
  for (const c of children) {
    if (c.children) enclose(c, quick);
  }
  const linked = new Set(lines.flat());
  const first = children.filter((c) => linked.has(c)), rest = children.filter((c) => !linked.has(c));
  const many = quick || first.length > tooLarge.nodes || lines.length > tooLarge.lines;
  const size = first.length ? folded(first, lines, (many ? columns : layered)(first, lines)) : { w: 0, h: 0 };
  const packed = pack(rest.sort((a, b) => b.h - a.h), size.h ? size.h + gap : 0, Math.max(size.w, Math.sqrt(areaOf(rest) * 1.8)));
  return { w: Math.max(size.w, packed.w), h: Math.max(size.h, packed.h) };
}

/**
 * folded puts what is far wider than a screen into rows, still from left to right; sooner where so many talk to so many that
 * left and right mean little.
 */
function folded(children, lines, size) {
  if (size.w < (lines.length > 2 * children.length ? 1200 : 2400) || size.w < 3 * size.h) return size;
  children.sort((a, b) => a.x - b.x || a.y - b.y);
  return pack(children, 0, Math.sqrt(areaOf(children) * 3), between / 2);
}

/** enclose arranges what is in a box and gives the box its size. */
function enclose(box, quick) {
  const { w, h } = arrange(box, quick);
  const outer = surround({ x: 0, y: 0, w, h: Math.max(h, box.plates * plateRoom) });
  for (const c of box.children) {
    c.x -= outer.x;
    c.y -= outer.y;
  }
  box.w = outer.w;
  box.h = outer.h;
}

/** layered is dagre's layout. */
function layered(children, lines) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: gap, ranksep: between });
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

/** columns is a layout for very many: a column for each rank, in it each beside its clients of the columns before. */
function columns(children, lines) {
  const servers = new Map(children.map((c) => [c, new Set()])), clients = new Map(children.map((c) => [c, new Set()]));
  for (const [a, b] of lines) {
    servers.get(a).add(b);
    clients.get(b).add(a);
  }
  const rows = [];
  for (const [c, rank] of ranks(children, servers)) (rows[rank] ||= []).push(c);
  const tallest = Math.ceil(Math.sqrt(children.length) * 1.6);
  const parts = rows.flatMap((row) => {
    const height = new Map(row.map((c) => [c, meanHeight([...clients.get(c)].filter((n) => n.y !== undefined))]));
    row.sort((a, b) => height.get(a) - height.get(b));
    stack(row, 0, 0);
    return Array.from({ length: Math.ceil(row.length / tallest) }, (_, i) => ({ some: row.slice(i * tallest, (i + 1) * tallest), first: i === 0 }));
  });
  const most = Math.max(...parts.map(({ some }) => tall(some)));
  let x = 0;
  for (const { some, first } of parts) {
    x += x && (first ? between : gap);
    stack(some, x, (most - tall(some)) / 2);
    x += widest(some);
  }
  return bounds(children, 0, 0);
}

const widest = (children) => Math.max(...children.map((c) => c.w));
const tall = (children) => children.reduce((sum, c) => sum + c.h + gap, -gap);

/** stack places children above each other. */
function stack(children, x, y) {
  const w = widest(children);
  for (const c of children) {
    Object.assign(c, { x: x + (w - c.w) / 2, y });
    y += c.h + gap;
  }
}

/** ranks returns how far to the right each is: farther than its clients, but for calls in a circle. */
function ranks(children, servers) {
  const rank = new Map(), state = new Map(), finished = [];
  for (const start of children) {
    const stack = [[start, null]];
    while (stack.length) {
      const top = stack[stack.length - 1];
      const [c] = top;
      if (!top[1]) {
        if (state.has(c)) {
          stack.pop();
          continue;
        }
        state.set(c, "open");
        top[1] = [...servers.get(c)].filter((s) => !state.has(s));
      }
      const next = top[1].pop();
      if (next) stack.push([next, null]);
      else {
        state.set(c, "done");
        finished.push(c);
        stack.pop();
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

const areaOf = (children) => children.reduce((sum, c) => sum + (c.w + gap) * (c.h + gap), 0);

/** pack puts children into rows from a height on, each row about so wide. */
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

/** split returns the columns of an edge of the map: so many that none is much taller than what is between the edges. */
function split(children, height) {
  const most = Math.max(height, 400);
  const parts = Math.ceil(tall(children) / most);
  const length = Math.ceil(children.length / parts);
  return { most, columns: Array.from({ length: parts }, (_, i) => children.slice(i * length, (i + 1) * length)) };
}

function columnWidth(root, side, height) {
  const children = root.children.filter((c) => c.side === side);
  return children.length ? split(children, height).columns.length * (widest(children) + gap) - gap + between : 0;
}

/** column places what stands at an edge, each at the height of what it is linked with. */
function column(root, side, x, height, places) {
  const children = root.children.filter((c) => c.side === side);
  if (!children.length) return;
  const wanted = new Map(children.map((c) => [c, meanHeight(root.lines.filter((l) => l.includes(c)).map(([a, b]) => places.get((a === c ? b : a).id))) - c.h / 2]));
  children.sort((a, b) => wanted.get(a) - wanted.get(b));
  const { most, columns } = split(children, height);
  for (const some of columns) {
    let y = margin, left = some.reduce((sum, c) => sum + c.h + gap, 0);
    for (const c of some) {
      y = Math.max(y, Math.min(wanted.get(c), margin + most - left)); // so that the others have room below
      places.set(c.id, { x, y, w: c.w, h: c.h });
      y += c.h + gap;
      left -= c.h + gap;
    }
    x += widest(children) + gap;
  }
}

/** meanHeight is that of the middles of places, of those that are known. */
export function meanHeight(places) {
  const known = places.filter(Boolean);
  return known.length ? known.reduce((sum, p) => sum + p.y + p.h / 2, 0) / known.length : 0;
}

/** surround is a box around a place. */
export const surround = (p) => ({ x: p.x - pad, y: p.y - title - pad / 2, w: p.w + 2 * pad, h: p.h + title + 1.5 * pad });

/** inside is the place in a box that surrounds it. */
export const inside = (box) => ({ x: box.x + pad, y: box.y + title + pad / 2, w: box.w - 2 * pad, h: box.h - title - 1.5 * pad });

/** union is the least place that has both in it. */
export function union(a, b) {
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

/** meets reports whether two places come closer than so far. */
export const meets = (a, b, distance = 0) =>
  a.x < b.x + b.w + distance && b.x < a.x + a.w + distance && a.y < b.y + b.h + distance && b.y < a.y + a.h + distance;

/** extent is the size of all places, from the origin on. */
export function extent(places) {
  let w = 0, h = 0;
  for (const p of places) {
    w = Math.max(w, p.x + p.w);
    h = Math.max(h, p.y + p.h);
  }
  return { w: w + margin, h: h + margin };
}
