// Routes of lines around the nodes: horizontal and vertical segments on the lattice. A line never passes through a node other than its
// ends. It avoids other lines, their labels and the walls of boxes as far as the costs below say.
//
// Why no library: ELK lays out all boxes in common layers and routes the lines between them. A map of 15 containers then fits a frame
// of 860×610 px at a scale of 0.58, and here at 0.85. It also cannot route lines between nodes that must stay in place.
import { isBox, overlaps, pitch, title, titleText } from "./lattice.js";

const inset = 5; // px between the corner of a node and the nearest line at its side
const labelHeight = 16; // px
const maxClearings = 12, maxInTheWay = 3; // places to try for a label, and lines to move for it
const maxMissing = 20; // labels for which lines are moved

/** cost is in steps of the lattice. A bend at a vertex of another line would look like a junction: it costs as much as an overlap. */
const cost = { bend: 4, crossing: 3, overlap: 60, label: 60, wall: 2, offCentre: 0.12, bendAtEnd: 1 };

/** Directions are 0 right, 1 down, 2 left and 3 up. */
const dx = [1, 0, -1, 0], dy = [0, 1, 0, -1];
const isVertical = (d) => (d & 1) === 1;
const opposite = (d) => (d + 2) & 3;

/** Queue is a binary heap: pop returns the value with the least key. */
class Queue {
  #keys = [];
  #values = [];

  get least() { return this.#keys.length ? this.#keys[0] : Infinity; }

  clear() { this.#keys.length = this.#values.length = 0; }

  push(key, value) {
    const keys = this.#keys, values = this.#values;
    let i = keys.length;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[i] = keys[parent];
      values[i] = values[parent];
      i = parent;
    }
    keys[i] = key;
    values[i] = value;
  }

  pop() {
    const keys = this.#keys, values = this.#values;
    const top = values[0], key = keys.pop(), value = values.pop();
    if (keys.length) this.#sink(key, value);
    return top;
  }

  #sink(key, value) {
    const keys = this.#keys, values = this.#values;
    let i = 0;
    for (let child = 1; child < keys.length; child = 2 * i + 1) {
      if (child + 1 < keys.length && keys[child + 1] < keys[child]) child++;
      if (keys[child] >= key) break;
      keys[i] = keys[child];
      values[i] = values[child];
      i = child;
    }
    keys[i] = key;
    values[i] = value;
  }
}

/** Router finds routes one after the other. A route is {points, label}: its corners from the client to the server, and a place. */
class Router {
  /** places are those of nodes and boxes by their IDs; titles are the widths of the titles of boxes; effort is that of routeLines. */
  constructor({ w, h }, places, titles, effort) {
    this.effort = effort;
    this.columns = Math.ceil(w / pitch) + 2;
    this.rows = Math.ceil(h / pitch) + 2;
    const size = this.columns * this.rows;
    this.obstacle = new Int32Array(size); // around a vertex: 1 + the index of a node, or -1
    this.horizontal = new Uint8Array(size); // the lines that pass a vertex horizontally
    this.vertical = new Uint8Array(size);
    this.covered = new Uint8Array(size); // the labels over a vertex
    this.horizontalWall = new Uint8Array(size);
    this.verticalWall = new Uint8Array(size);
    this.best = new Float32Array(4 * size); // the least cost to a state, which is 4 times the vertex plus the direction
    this.before = new Int32Array(4 * size); // the state before a state
    this.reached = new Int32Array(4 * size); // the search that reached a state
    this.search = 0;
    this.queue = new Queue();
    this.labels = [];
    this.traced = new WeakMap(); // the vertices of routes
    this.index = new Map();
    this.nodes = [];
    this.titles = []; // the places of their texts
    for (const [id, place] of places) {
      if (isBox(id)) this.#addBox(place, titles.get(id) || 0);
    }
    for (const [id, place] of places) {
      if (!isBox(id)) this.#addNode(id, place);
    }
  }

  #addBox({ x, y, w, h }, titleWidth) {
    const left = x / pitch, right = (x + w) / pitch, top = y / pitch, bottom = (y + h) / pitch;
    for (const row of [top, bottom]) for (let c = left; c <= right; c++) this.horizontalWall[row * this.columns + c] = 1;
    for (const column of [left, right]) for (let r = top; r <= bottom; r++) this.verticalWall[r * this.columns + column] = 1;
    this.#fill({ x, y, w: Math.min(w, titleWidth), h: title }, -1);
    this.titles.push(titleText({ x, y }, titleWidth));
  }

  #addNode(id, place) {
    this.index.set(id, this.nodes.length);
    this.nodes.push(place);
    this.#fill({ x: place.x - pitch, y: place.y - pitch, w: place.w + 2 * pitch, h: place.h + 2 * pitch }, this.nodes.length);
  }

  /** #fill sets the obstacle of the vertices inside a place. Between two nodes that are too close there is no way. */
  #fill({ x, y, w, h }, value) {
    for (let r = Math.max(0, y / pitch + 1); r <= Math.min(this.rows - 1, (y + h) / pitch - 1); r++) {
      for (let c = Math.max(0, x / pitch + 1); c <= Math.min(this.columns - 1, Math.ceil((x + w) / pitch) - 1); c++) {
        const v = r * this.columns + c;
        this.obstacle[v] = this.obstacle[v] > 0 ? -1 : value;
      }
    }
  }

  #uses(v, d) { return isVertical(d) ? this.vertical[v] : this.horizontal[v]; }

  /** #costOf returns the cost of passing a vertex in a direction. */
  #costOf(v, d) {
    const wall = isVertical(d) ? this.verticalWall[v] : this.horizontalWall[v];
    return 1 + this.#uses(v, d) * cost.overlap + this.#uses(v, d + 1) * cost.crossing + this.covered[v] * cost.label + wall * cost.wall;
  }

  /** find returns a route between two nodes; undefined if there is no way. */
  find(from, to) {
    const source = this.nodes[this.index.get(from)], target = this.index.get(to);
    this.#begin(this.nodes[target]);
    this.#leave(source, from === to ? [0] : [0, 1, 2, 3]);
    const end = this.#run(target, from === to ? [1] : [0, 1, 2, 3]);
    return end && { points: this.#corners(source, this.nodes[target], end), isLoop: from === to };
  }

  #begin({ x, y, w, h }) {
    this.search++;
    this.queue.clear();
    this.target = { left: x / pitch - 1, right: (x + w) / pitch + 1, top: y / pitch - 1, bottom: (y + h) / pitch + 1 };
  }

  /** #reach records a way to a state if it is the cheapest so far. */
  #reach(v, d, g, before) {
    const state = 4 * v + d;
    if (this.reached[state] === this.search && this.best[state] <= g) return;
    this.reached[state] = this.search;
    this.best[state] = g;
    this.before[state] = before;
    const c = v % this.columns, r = (v - c) / this.columns, { left, right, top, bottom } = this.target;
    this.queue.push(g + Math.max(0, left - c, c - right) + Math.max(0, top - r, r - bottom), state);
  }

  /** #leave reaches the vertices beside the sides of a node. */
  #leave(place, directions) {
    for (const d of directions) {
      const start = isVertical(d) ? place.x : place.y, length = isVertical(d) ? place.w : place.h;
      for (let at = Math.ceil((start + inset) / pitch); at * pitch <= start + length - inset; at++) {
        const c = [(place.x + place.w) / pitch + 1, at, place.x / pitch - 1, at][d], r = [at, (place.y + place.h) / pitch + 1, at, place.y / pitch - 1][d];
        if (c < 0 || r < 0 || c >= this.columns || r >= this.rows) continue;
        const v = r * this.columns + c;
        if (!this.obstacle[v]) this.#reach(v, d, this.#costOf(v, d) + offCentre(at, start, length), -1);
      }
    }
  }

  /** #run returns the last state and the direction of the cheapest way to a node. */
  #run(target, arrivals) {
    let end, least = Infinity;
    for (; this.queue.least < least; this.effort.states++) {
      const state = this.queue.pop(), v = state >> 2, d = state & 3, c = v % this.columns, r = (v - c) / this.columns;
      for (const e of [d, (d + 1) & 3, (d + 3) & 3]) {
        const column = c + dx[e], row = r + dy[e];
        if (column < 0 || row < 0 || column >= this.columns || row >= this.rows) continue;
        const next = row * this.columns + column;
        const g = this.best[state] + (e === d ? 0 : cost.bend + this.#uses(v, e) * cost.overlap);
        if (!this.obstacle[next]) this.#reach(next, e, g + this.#costOf(next, e), state);
        else if (this.obstacle[next] === target + 1 && arrivals.includes(e)) {
          const total = g + this.#arrive(isVertical(e) ? c : r, e, target) + (e === d ? 0 : cost.bendAtEnd);
          if (total < least) [least, end] = [total, { state, d: e }];
        }
      }
    }
    return end;
  }

  /** #arrive returns the cost of the end of a line at a side of a node, which is infinite beyond its corners. */
  #arrive(at, d, target) {
    const { x, y, w, h } = this.nodes[target];
    const start = isVertical(d) ? x : y, length = isVertical(d) ? w : h;
    return at * pitch < start + inset || at * pitch > start + length - inset ? Infinity : offCentre(at, start, length);
  }

  /** #corners returns the points at which the way to an end begins, turns and ends. */
  #corners(source, target, { state, d }) {
    const points = [this.#atSide(target, state >> 2, opposite(d))];
    let last = d;
    for (let s = state; s !== -1; s = this.before[s]) {
      if ((s & 3) !== last) points.push(this.#point(s >> 2));
      last = s & 3;
      if (this.before[s] === -1) points.push(this.#atSide(source, s >> 2, last));
    }
    return points.reverse();
  }

  #point(v) { return { x: (v % this.columns) * pitch, y: Math.floor(v / this.columns) * pitch }; }

  /** #atSide returns the point of a node's side from which a line leads to a vertex in a direction. */
  #atSide({ x, y, w, h }, v, d) {
    const at = this.#point(v);
    return [{ x: x + w, y: at.y }, { x: at.x, y: y + h }, { x, y: at.y }, { x: at.x, y }][d];
  }

  /** vertices returns the vertices of a route, each with whether the line passes it horizontally or vertically. A corner is both. */
  vertices(route) {
    const known = this.traced.get(route);
    if (known) return known;
    const all = [], { points } = route;
    this.traced.set(route, all);
    for (let i = 1; i < points.length; i++) {
      const a = points[i - 1], b = points[i], horizontal = a.y === b.y;
      const steps = Math.abs(b.x - a.x + b.y - a.y) / pitch, x = Math.sign(b.x - a.x), y = Math.sign(b.y - a.y);
      for (let k = 0; k <= steps; k++) all.push({ v: (a.y / pitch + k * y) * this.columns + a.x / pitch + k * x, horizontal, isCorner: k === steps && i + 1 < points.length });
    }
    return all;
  }

  /** mark adds a route to the lattice, or removes it with -1. */
  mark(route, by = 1) {
    for (const { v, horizontal } of this.vertices(route)) (horizontal ? this.horizontal : this.vertical)[v] += by;
    if (!route.label) return;
    this.#cover(route.label, by);
    this.labels = by > 0 ? [...this.labels, route.label] : this.labels.filter((l) => l !== route.label);
  }

  /** isClear reports whether a route leads from one node to another, and neither the route nor its label meets an obstacle. */
  isClear(route, from, to) {
    const { points } = route;
    if (route.label && !this.#isFree(route.label)) return false;
    const a = this.nodes[this.index.get(from)], b = this.nodes[this.index.get(to)];
    if (!isAtSide(points[0], a) || !isAtSide(points.at(-1), b)) return false;
    const ends = [0, this.index.get(from) + 1, this.index.get(to) + 1];
    return this.vertices(route).every(({ v }) => ends.includes(this.obstacle[v]));
  }

  /** addLabel gives a marked route the best free place for the longest form of its label that fits, and reports success. */
  addLabel(route, widths) {
    const own = this.#ownUse(route);
    for (let form = 0; form < widths.length; form++) {
      const best = this.#labelPlaces(route, widths[form]).find((place) => this.#isBeside(place) && this.#isAlone(place, own));
      if (!best) continue;
      this.#setLabel(route, { ...best, form });
      return true;
    }
    return false;
  }

  /** dropCrossed removes the label of a marked route if another line passes it, and reports whether it did. */
  dropCrossed(route) {
    if (!route.label || this.#isAlone(route.label, this.#ownUse(route))) return false;
    this.mark(route, -1);
    delete route.label;
    this.mark(route);
    return true;
  }

  #setLabel(route, place) {
    route.label = place;
    this.labels.push(place);
    this.#cover(place, 1);
  }

  /** #labelPlaces returns the places over a route, those near its middle and on horizontal segments first. A loop is too short: its label is beside it. */
  #labelPlaces(route, width) {
    if (route.isLoop) return besideLoop(route.points, width);
    const all = this.vertices(route), places = [];
    all.forEach(({ v, horizontal, isCorner }, i) => {
      const { x, y } = this.#point(v), reach = horizontal ? labelHeight : width - 4;
      for (const shift of [0, -0.25, 0.25, -0.5, 0.5].map((k) => k * reach)) {
        const rank = Math.abs(i - all.length / 2) + (horizontal ? 0 : 8) + (isCorner ? 4 : 0) + (Math.abs(shift) / reach) * 12;
        places.push({ rank, x: x - width / 2 + (horizontal ? 0 : shift), y: y - labelHeight / 2 + (horizontal ? shift : 0), w: width, h: labelHeight });
      }
    });
    return places.sort((a, b) => a.rank - b.rank);
  }

  /** #ownUse returns how often a route passes each of its vertices. */
  #ownUse(route) {
    const own = new Map();
    for (const { v } of this.vertices(route)) own.set(v, (own.get(v) || 0) + 1);
    return own;
  }

  /** #isBeside reports whether a label would be on the map, and beside all nodes, titles and other labels. */
  #isBeside(place) { return !this.labels.some((l) => overlaps(l, place)) && this.#isFree(place); }

  /** #isFree reports whether a label would be on the map, and beside all nodes and titles. */
  #isFree(place) {
    if (place.x < 0 || place.y < 0 || this.titles.some((t) => overlaps(t, place))) return false;
    for (const v of this.#covers(place)) {
      if (v < 0) return false;
      const obstacle = this.obstacle[v];
      if (obstacle < 0 || (obstacle > 0 && overlaps(this.nodes[obstacle - 1], place, 1))) return false;
    }
    return true;
  }

  /** #isAlone reports whether a label would cover no line but its own. */
  #isAlone(place, own) {
    for (const v of this.#covers(place)) if (this.horizontal[v] + this.vertical[v] > (own.get(v) || 0)) return false;
    return true;
  }

  /**
   * clearLabel makes room for the label of a line: it routes the lines in its way around it. The others are {line, route}. It returns
   * the new routes of those lines by their IDs; undefined if there is no room, and then nothing changes.
   */
  clearLabel(line, route, others) {
    const own = this.#ownUse(route);
    const form = line.labelWidths.length - 1;
    for (const place of this.#labelPlaces(route, line.labelWidths[form]).filter((p) => this.#isBeside(p)).slice(0, maxClearings)) {
      const under = new Set(this.#covers(place));
      const inTheWay = others.filter((o) => o.route !== route && this.vertices(o.route).some(({ v }) => under.has(v)));
      if (!inTheWay.length || inTheWay.length > maxInTheWay) continue;
      inTheWay.forEach((o) => this.mark(o.route, -1));
      if (this.#isAlone(place, own)) {
        this.#setLabel(route, { ...place, form });
        const moved = this.#routeAround(inTheWay, under);
        if (moved) return moved;
        this.mark(route, -1);
        delete route.label;
        this.mark(route);
      }
      inTheWay.forEach((o) => this.mark(o.route));
    }
  }

  /** #routeAround routes lines again so that they have labels and avoid vertices; undefined and unchanged if that fails. */
  #routeAround(lines, avoided) {
    const moved = new Map();
    for (const { line } of lines) {
      const route = this.find(line.from, line.to);
      if (route) {
        this.mark(route);
        moved.set(line.id, route);
      }
      const isGood = route && this.vertices(route).every(({ v, horizontal }) => !avoided.has(v) && (horizontal ? this.horizontal : this.vertical)[v] < 2) && this.addLabel(route, line.labelWidths);
      if (isGood) continue;
      moved.forEach((r) => this.mark(r, -1));
      return undefined;
    }
    return moved;
  }

  #cover(place, by) { for (const v of this.#covers(place)) this.covered[v] += by; }

  /** #covers yields the vertices under a place, and -1 for one beyond the lattice. */
  * #covers({ x, y, w, h }) {
    for (let r = Math.ceil((y + 1) / pitch); r <= Math.floor((y + h - 1) / pitch); r++) {
      for (let c = Math.ceil(x / pitch); c <= Math.floor((x + w) / pitch); c++) yield c < 0 || r < 0 || c >= this.columns || r >= this.rows ? -1 : r * this.columns + c;
    }
  }
}

/** besideLoop returns places for a label right of a loop and above it. */
function besideLoop(points, width) {
  const right = Math.max(...points.map((p) => p.x)), top = Math.min(...points.map((p) => p.y)), bottom = Math.max(...points.map((p) => p.y));
  const size = { w: width, h: labelHeight }, away = pitch / 2;
  return [0, -1, 1, -2, 2].flatMap((step) => [
    { x: right + away, y: (top + bottom - labelHeight) / 2 + step * pitch, ...size },
    { x: right - width / 2 + step * pitch, y: top - labelHeight - away, ...size },
  ]);
}

const offCentre = (at, start, length) => cost.offCentre * Math.abs(at - (start + length / 2) / pitch);

const isAtSide = ({ x, y }, p) => ((x === p.x || x === p.x + p.w) && y >= p.y && y <= p.y + p.h) || ((y === p.y || y === p.y + p.h) && x >= p.x && x <= p.x + p.w);

const distance = (a, b) => Math.max(0, a.x - b.x - b.w, b.x - a.x - a.w) + Math.max(0, a.y - b.y - b.h, b.y - a.y - a.h);

/**
 * routeLines returns the routes of lines by their IDs. A line is {id, from, to, labelWidths}: the widths of the forms of
 * its label, the longest first; empty without one; isHidden leaves it out. kept are earlier routes: those that still
 * lead from node to node stay. Each new line is routed twice, because the first round does not know the lines that follow. The
 * searched states are added to effort: some millions take a second.
 */
export function routeLines(size, places, titles, lines, kept = new Map(), effort = { states: 0 }) {
  const router = new Router(size, places, titles, effort), routes = new Map();
  const fresh = lines.filter((l) => {
    if (l.isHidden) return false;
    const route = kept.get(l.id);
    const stays = route && (!route.label || route.label.w >= (l.labelWidths[route.label.form] ?? Infinity)) && router.isClear(route, l.from, l.to);
    if (stays) routes.set(l.id, route);
    if (stays) router.mark(route);
    return !stays;
  });
  const length = new Map(fresh.map((l) => [l, distance(places.get(l.from), places.get(l.to))]));
  fresh.sort((a, b) => length.get(a) - length.get(b));
  const place = (l) => {
    const before = routes.get(l.id);
    if (before) router.mark(before, -1);
    const route = router.find(l.from, l.to) || before;
    if (!route) return;
    delete route.label;
    router.mark(route);
    routes.set(l.id, route);
  };
  fresh.forEach(place);
  for (const l of fresh) {
    place(l);
    if (routes.has(l.id)) router.addLabel(routes.get(l.id), l.labelWidths);
  }
  makeRoom(router, fresh.filter((l) => l.labelWidths.length && routes.has(l.id)), routes);
  for (const l of lines) if (routes.has(l.id) && router.dropCrossed(routes.get(l.id))) router.addLabel(routes.get(l.id), l.labelWidths);
  return routes;
}

/** makeRoom finds places for the missing labels, if they are few: it routes lines that are in the way again. */
function makeRoom(router, lines, routes) {
  if (lines.filter((l) => !routes.get(l.id).label).length > maxMissing) return;
  for (const l of lines) {
    const route = routes.get(l.id);
    if (route.label || router.addLabel(route, l.labelWidths)) continue;
    const others = lines.map((line) => ({ line, route: routes.get(line.id) }));
    router.clearLabel(l, route, others)?.forEach((r, id) => routes.set(id, r));
  }
}
