// The layout of nodes in nested boxes. Several styles are tried: the best is large in the frame and has short lines.
import dagre from "./vendor/dagre-3.1.3.esm.js";
import { extent, gap, margin, pad, pitch, snap, snapUp, surround } from "./lattice.js";

/** dagreLimits are the nodes or lines of one box, and the nodes of the map, above which dagre takes longer than a user waits. */
const dagreLimits = { nodes: 40, lines: 90, all: 250 };

/** maxTried is the number of nodes above which only a few styles are tried. */
const maxTried = 120;

/**
 * Below a scale, nodes may also stand in rows, whatever their links. In boxes that is minLayered. Hosts stand in no boxes and have no coarser
 * grouping: their rows come as soon as texts would be too small to read.
 */
const minLayered = 0.6, minReadable = 0.85;

/** Above the scale enough, and with similar scales, a layout with shorter lines is better than a larger one. */
const enough = 1, similar = 0.03;

/** Distances of nodes side by side, and of a client and its server in a row and in a column. More room fits more labels. */
export const spacings = [
  { apart: 3 * pitch, right: 9 * pitch, down: 6 * pitch },
  { apart: 4 * pitch, right: 11 * pitch, down: 8 * pitch },
  { apart: 6 * pitch, right: 14 * pitch, down: 11 * pitch },
];

/** maxSpacing is the last index of spacings. */
export const maxSpacing = spacings.length - 1;

/** styles returns the styles to try: directions of the nodes in a box, order of the boxes, and the edges for external addresses. */
function styles(count) {
  const inner = ["right", "down"], outer = count > maxTried ? ["rows"] : ["right", "down", "rows"], edges = ["sides", "ends"];
  return inner.flatMap((i) => outer.flatMap((o) => edges.map((e) => ({ inner: i, outer: o, edges: e }))));
}

/**
 * layouts returns layouts in different styles, the best first: places by the IDs of items and boxes, the style, size and scale in the
 * frame. An item is {id, w, h, boxes, side}: boxes are the IDs of the boxes around it, the outermost first; side is "first" for external
 * clients and "last" for external servers, at the edges of the map. Lines are pairs of item IDs.
 */
export function layouts(items, lines, frame, spacing = 0) {
  const known = new Map(); // what dagre returned for a box: styles have most boxes in common
  const compose = (style) => {
    const places = new Composition(items, lines, { ...style, ...spacings[spacing] }, frame, known).places();
    const size = extent([...places.values()]);
    return { places, style, size, scale: Math.min(frame.w / size.w, frame.h / size.h), length: totalLength(lines, places) };
  };
  const all = styles(items.length).map(compose);
  const least = items.some((item) => item.boxes.length) ? minLayered : minReadable;
  if (all.every(({ scale }) => scale < least)) all.push(...["sides", "ends"].map((edges) => compose({ inner: "rows", outer: "rows", edges })));
  const rank = ({ scale }) => Math.round(Math.min(scale, enough) / similar);
  return withoutEqual(all).sort((a, b) => rank(b) - rank(a) || a.length - b.length);
}

/** withoutEqual leaves out layouts with the places of an earlier one: without boxes or external addresses, styles do not differ. */
function withoutEqual(all) {
  const found = new Set();
  return all.filter(({ places }) => {
    const text = [...places].map(([id, { x, y }]) => `${id} ${x} ${y}`).sort().join();
    return !found.has(text) && found.add(text);
  });
}

function totalLength(lines, places) {
  return lines.reduce((sum, [a, b]) => {
    const p = places.get(a), q = places.get(b);
    return sum + Math.abs(p.x + p.w / 2 - q.x - q.w / 2) + Math.abs(p.y + p.h / 2 - q.y - q.h / 2);
  }, 0);
}

/** Composition places the nodes in their boxes, the boxes on the map, and external addresses at its edges. */
class Composition {
  constructor(items, lines, style, frame, known) {
    Object.assign(this, { style, known, aspect: frame.w / frame.h, quick: items.length > dagreLimits.all });
    this.root = buildTree(items, lines);
  }

  places() {
    const { root, style } = this, places = new Map();
    const children = root.children.filter((c) => !c.side);
    const size = children.length ? this.#arrange({ children, lines: root.lines.filter(([a, b]) => !a.side && !b.side) }) : { w: 0, h: 0 };
    const edge = new Edge(root, style, size);
    const { x, y } = edge.start;
    toAbsolute(children, x, y, places);
    edge.place("first", margin, places);
    edge.place("last", edge.end, places);
    return places;
  }

  /** #arrange places the children of a box relative to its content and returns the size of the content. */
  #arrange({ children, lines }) {
    for (const c of children) if (c.children) this.#enclose(c);
    const isOuter = children.some((c) => c.children), direction = isOuter ? this.style.outer : this.style.inner;
    const apart = this.style.apart + (isOuter ? pitch : 0);
    if (direction === "rows") return this.#rows(inOrderOfLinks(children, lines), isOuter ? apart : 2 * apart);
    const linked = new Set(lines.flat());
    const first = children.filter((c) => linked.has(c)), rest = children.filter((c) => !linked.has(c));
    const size = first.length ? this.#linked(first, lines, direction) : { w: 0, h: 0 };
    if (!rest.length) return size;
    const width = Math.max(size.w, Math.sqrt(totalArea(rest, apart) * this.aspect));
    const below = pack(rest.sort((a, b) => b.h - a.h), size.h ? size.h + apart : 0, width, apart);
    return { w: Math.max(size.w, below.w), h: Math.max(size.h, below.h) };
  }

  /** #rows packs children into rows of the width that is best for the frame. */
  #rows(children, apart) {
    const side = Math.sqrt(totalArea(children, apart) * this.aspect);
    const widths = [1, 1.25, 1.5, 1.8, 2.2].map((k) => k * side);
    const scale = (width) => {
      const { w, h } = pack(children, 0, width, apart);
      return Math.min(this.aspect / w, 1 / h);
    };
    return pack(children, 0, widths.reduce((a, b) => (scale(b) > scale(a) ? b : a)), apart);
  }

  #linked(children, lines, direction) {
    const isLarge = this.quick || children.length > dagreLimits.nodes || lines.length > dagreLimits.lines;
    return isLarge ? columns(children, lines, this.style) : this.#layered(children, lines, direction);
  }

  /** #layered is layered, or repeats its earlier result for the same children. */
  #layered(children, lines, direction) {
    const key = [direction, ...children.map(({ id, w, h }) => `${id} ${w} ${h}`)].join();
    if (!this.known.has(key)) this.known.set(key, { size: layered(children, lines, direction, this.style), at: children.map(({ x, y }) => ({ x, y })) });
    const { size, at } = this.known.get(key);
    children.forEach((c, i) => Object.assign(c, at[i]));
    return size;
  }

  /** #enclose arranges the children of a box and sets the size of the box. */
  #enclose(box) {
    const outer = surround({ x: 0, y: 0, ...this.#arrange(box) });
    for (const c of box.children) {
      c.x -= outer.x;
      c.y -= outer.y;
    }
    box.w = Math.max(outer.w, snapUp(box.title + 2 * pad));
    box.h = outer.h;
  }
}

/** toAbsolute converts places relative to their box into places on the map. */
function toAbsolute(children, x, y, places) {
  for (const c of children) {
    places.set(c.id, { x: x + c.x, y: y + c.y, w: c.w, h: c.h });
    if (c.children) toAbsolute(c.children, x + c.x, y + c.y, places);
  }
}

/** buildTree returns the root box. Each line belongs to the innermost box that contains both of its ends. */
function buildTree(items, lines) {
  const root = { id: "", children: [], lines: [] }, boxes = new Map(), paths = new Map();
  for (const item of items) {
    let box = root;
    const path = [root];
    item.boxes.forEach((id, i) => {
      if (!boxes.has(id)) {
        boxes.set(id, { id, children: [], lines: [], title: item.titles?.[i] ?? 0 });
        box.children.push(boxes.get(id));
      }
      path.push((box = boxes.get(id)));
    });
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

/** layered applies the layered layout of dagre. */
function layered(children, lines, direction, style) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: direction === "right" ? "LR" : "TB", nodesep: style.apart, ranksep: style[direction] });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const c of children) graph.setNode(c.id, { width: c.w, height: c.h });
  for (const [a, b] of lines) graph.setEdge(a.id, b.id);
  dagre.layout(graph);
  for (const c of children) {
    const { x, y } = graph.node(c.id);
    c.x = snap(x - c.w / 2);
    c.y = snap(y - c.h / 2);
  }
  return toOrigin(children);
}

/** toOrigin moves children to the origin and returns their size. */
function toOrigin(children) {
  const x = Math.min(...children.map((c) => c.x)), y = Math.min(...children.map((c) => c.y));
  for (const c of children) {
    c.x -= x;
    c.y -= y;
  }
  return { w: Math.max(...children.map((c) => c.x + c.w)), h: Math.max(...children.map((c) => c.y + c.h)) };
}

/** columns is a fast layout for many nodes: a column for each rank, each node beside its clients in the columns before. */
function columns(children, lines, style) {
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
    stack(row, 0, 0, style.apart);
    return Array.from({ length: Math.ceil(row.length / maxPerColumn) }, (_, i) => ({ members: row.slice(i * maxPerColumn, (i + 1) * maxPerColumn), first: i === 0 }));
  });
  const maxHeight = Math.max(...parts.map(({ members }) => totalHeight(members, style.apart)));
  let x = 0;
  for (const { members, first } of parts) {
    x += x && (first ? style.right : style.apart);
    stack(members, x, snap((maxHeight - totalHeight(members, style.apart)) / 2), style.apart);
    x += maxWidth(members);
  }
  return toOrigin(children);
}

const maxWidth = (children) => Math.max(...children.map((c) => c.w));
const totalHeight = (children, apart) => children.reduce((sum, c) => sum + c.h + apart, -apart);

/** stack places children below each other. */
function stack(children, x, y, apart) {
  const w = maxWidth(children);
  for (const c of children) {
    Object.assign(c, { x: x + snap((w - c.w) / 2), y });
    y += c.h + apart;
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

/** inOrderOfLinks returns children in an order in which linked ones follow each other, the largest first. */
function inOrderOfLinks(children, lines) {
  const left = new Set(children), links = new Map(children.map((c) => [c, 0])), order = [];
  while (left.size) {
    const next = [...left].reduce((a, b) => (links.get(b) - links.get(a) || b.w * b.h - a.w * a.h) > 0 ? b : a);
    left.delete(next);
    order.push(next);
    for (const [a, b] of lines) {
      if (a === next) links.set(b, links.get(b) + 1);
      if (b === next) links.set(a, links.get(a) + 1);
    }
  }
  return order;
}

const totalArea = (children, apart) => children.reduce((sum, c) => sum + (c.w + apart) * (c.h + apart), 0);

/** pack puts children into rows that start at y and are about width wide. */
function pack(children, y, width, apart) {
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

/** Edge places external addresses: in columns at the sides of the map, or in rows at its ends. */
class Edge {
  constructor(root, style, { w, h }) {
    this.lines = root.lines;
    this.isSide = style.edges === "sides";
    this.apart = style.apart;
    this.far = (this.isSide ? style.right : style.down) - pitch;
    this.length = Math.max(this.isSide ? h : w, 50 * pitch);
    this.groups = { first: this.#split(root, "first"), last: this.#split(root, "last") };
    const before = this.#depth("first");
    this.start = this.isSide ? { x: margin + before, y: margin } : { x: margin, y: margin + before };
    this.end = margin + before + (this.isSide ? w : h) + this.far + 3 * pitch; // room for a new node in the boxes
  }

  /** #along and #across are the sizes of a node along the edge and away from it. */
  #along(c) { return this.isSide ? c.h : c.w; }
  #across(c) { return this.isSide ? c.w : c.h; }

  /** #split divides the addresses at an edge into rows or columns that are not much longer than the map. */
  #split(root, side) {
    const children = root.children.filter((c) => c.side === side);
    const total = children.reduce((sum, c) => sum + this.#along(c) + this.apart, 0);
    const count = Math.ceil(total / this.length), size = Math.ceil(children.length / count);
    return { children, parts: (ordered) => Array.from({ length: count }, (_, i) => ordered.slice(i * size, (i + 1) * size)), count };
  }

  #depth(side) {
    const { children, count } = this.groups[side];
    return children.length ? count * (Math.max(...children.map((c) => this.#across(c))) + gap) - gap + this.far : 0;
  }

  /** place puts the addresses of a side beside each other, each near the middle of the nodes that it is linked with. */
  place(side, at, places) {
    const { children, parts } = this.groups[side];
    if (!children.length) return;
    const middle = (p) => (this.isSide ? p.y + p.h / 2 : p.x + p.w / 2);
    const wanted = new Map(children.map((c) => {
      const peers = this.lines.filter((l) => l.includes(c)).map(([a, b]) => places.get((a === c ? b : a).id)).filter(Boolean);
      return [c, peers.length ? peers.reduce((sum, p) => sum + middle(p), 0) / peers.length - this.#along(c) / 2 : 0];
    }));
    const ordered = [...children].sort((a, b) => wanted.get(a) - wanted.get(b));
    for (const part of parts(ordered)) {
      let free = margin, rest = part.reduce((sum, c) => sum + this.#along(c) + this.apart, 0);
      for (const c of part) {
        const along = Math.max(free, snap(Math.min(wanted.get(c), margin + this.length - rest)));
        places.set(c.id, this.isSide ? { x: at, y: along, w: c.w, h: c.h } : { x: along, y: at, w: c.w, h: c.h });
        free = along + this.#along(c) + this.apart;
        rest -= this.#along(c) + this.apart;
      }
      at += Math.max(...children.map((c) => this.#across(c))) + gap;
    }
  }
}

/** meanMiddle returns the mean height of the middles of places; undefined places do not count. */
function meanMiddle(places) {
  const known = places.filter(Boolean);
  return known.length ? known.reduce((sum, p) => sum + p.y + p.h / 2, 0) / known.length : 0;
}
