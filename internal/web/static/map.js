// The map: an SVG drawing of a scene with its hover and selection states.
import { Arranger } from "./arranger.js";
import { isGroup } from "./format.js";
import { extent, pitch, title, titleMargin } from "./lattice.js";
import { Pins } from "./pins.js";
import { describe, labelOf, maxDrawn, maxLabelled, minScale } from "./scene.js";
import { dragNodes } from "./drag.js";
import { Layer, svg } from "./svg.js";
import { Viewport } from "./viewport.js";

const minLargeScale = 0.62; // below it no name is readable
const rounding = 0.001; // of scales
const hoverDelay = 120; // ms on a node until its lines get routes
const cornerRadius = 7, bendRadius = 5; // px
const arrow = 3; // px between the end of a line and its server, for the arrow head

const isStill = matchMedia("(prefers-reduced-motion: reduce)");
const motion = { duration: 350, easing: "ease-in-out" };

const nothing = { places: new Map(), routes: new Map(), density: 0, size: { w: 1, h: 1 }, scale: 1 };

export class MapDrawing {
  #arranger = new Arranger();
  #arrangement = nothing; // as drawn
  #signature = ""; // of what the arrangement depends on
  #previous = new Map(); // the items with a place, as they were drawn last
  #scene = { nodes: [], lines: [], boxes: [], byID: new Map() };
  #selected = new Set();
  #own = new Map(); // the links of the selected member of a group, by the IDs of their lines
  #group = ""; // selected without its lines
  #pins = new Pins();

  /**
   * on has select(kind, id), openGroup(node), closeGroup(box), moved(look) and showTooltip(kind, thing, event); without a thing
   * the pointer left.
   */
  constructor(frame, on) {
    this.on = on;
    this.frame = frame;
    this.svg = svg("svg", { class: "drawing-root" });
    this.svg.append(svg("defs", {}, ...["", "-past", "-new", "-gone"].map(arrowHead), startOfNew(), startOfGone(), endOfFailed()));
    frame.append(this.svg);
    this.boxes = new Layer(this.svg, "boxes", (b) => this.#box(b));
    this.lines = new Layer(this.svg, "lines", drawLine);
    this.labels = new Layer(this.svg, "labels", (l) => label(l, this.#labelOf(l)));
    this.nodes = new Layer(this.svg, "nodes", drawNode);
    this.viewport = new Viewport(frame, this.svg, minScale, () => this.#scaled(), () => on.moved(this.viewport.look));
    frame.addEventListener("click", (e) => this.#click(e));
    frame.addEventListener("dblclick", (e) => this.#open(this.#target(e)?.thing));
    frame.addEventListener("keydown", (e) => this.#key(e));
    dragNodes(frame, { scale: () => this.viewport.scale, move: (id, by) => this.#dragTo(id, by), drop: (id, by) => this.#drop(id, by) });
    for (const type of ["pointerover", "pointermove"]) frame.addEventListener(type, (e) => this.#point(e));
    frame.addEventListener("pointerleave", () => this.#point(null));
    frame.addEventListener("focusin", (e) => this.#focus(e));
  }

  /**
   * arrange returns an arrangement of a scene; null if a later call overtakes it. With known, the IDs of all nodes that exist, shown or
   * hidden, the drawn nodes stay in place and new ones get free places. Of very many lines only those of the selected node or line are drawn.
   */
  async arrange(scene, known, selected = "") {
    const before = this.#arrangement, request = this.#request(scene, known, new Set([selected]));
    const signature = JSON.stringify([request.items, request.lines]);
    if (!scene.nodes.length) return { ...before, routes: new Map(), signature, isNew: false }; // an empty map keeps the places
    if (known && signature === this.#signature) return { ...before, signature, isNew: false };
    this.frame.setAttribute("aria-busy", "true");
    const arrangement = await this.#arranger.arrange(request);
    if (!arrangement) return null;
    if (known && this.#arrangement !== before) return this.arrange(scene, known, selected); // a node was dragged meanwhile
    this.frame.removeAttribute("aria-busy");
    return { ...arrangement, signature };
  }

  /** #request returns what the arranger needs. Of very many lines only those with one of the drawn IDs, or with an end that has one, get routes. */
  #request(scene, known, drawn) {
    const items = scene.nodes.map(({ id, sizes, wide, boxes, titles, side, predecessors }) => ({ id, sizes, wide, boxes, titles, side, predecessors }));
    const isHidden = scene.lines.length > maxDrawn && ((l) => ![l.id, l.from, l.to].some((id) => drawn.has(id)));
    const lines = scene.lines.map((l) => ({ id: l.id, from: l.from, to: l.to, labelWidths: l.labelWidths, ...(isHidden && { isHidden: isHidden(l) }) }));
    const { places, routes, style, density, areaPerNode } = this.#arrangement;
    const kept = known && places.size > 0 && { places, routes, style, density, areaPerNode, previous: this.#previous, alive: new Set(known) };
    return { items, lines, frame: this.viewport.area, minScale, kept, pins: this.#pins.of(items) };
  }

  /** unpin lets go of the nodes that the user has dragged. */
  unpin() { this.#pins.clear(); }

  /** draw draws an arranged scene. look is the initial position and scale; if it is empty a new arrangement is shown from its start. */
  draw(scene, arrangement, look = "") {
    const { places: before } = this.#arrangement, middle = this.#middle(scene), { places } = arrangement;
    this.#apply(scene, arrangement);
    if (look) this.viewport.look = look; // before rendering, which skips labels that are too small to read
    else if (arrangement.isNew) this.viewport.begin();
    else if (middle) this.viewport.follow({ x: places.get(middle).x - before.get(middle).x, y: places.get(middle).y - before.get(middle).y });
    this.#scene = scene;
    this.#render();
    this.#move(before);
  }

  /** #apply keeps an arrangement of a scene, and gives the drawing its size. */
  #apply(scene, arrangement) {
    const { places } = arrangement, before = this.#arrangement.places;
    this.#arrangement = arrangement;
    this.#signature = arrangement.signature;
    for (const { id, boxes, side } of scene.nodes) this.#previous.set(id, { boxes, side });
    for (const id of this.#previous.keys()) if (!places.has(id)) this.#previous.delete(id);
    if (!arrangement.isNew) this.#pins.follow(scene.nodes, before, places);
    if (scene.nodes.length) this.viewport.resize(extent([arrangement.content.bounds]), arrangement.content);
  }

  /** #middle returns the ID of the drawn node nearest to the middle of the view that stays in its box. */
  #middle({ nodes }) {
    const { places } = this.#arrangement, { x, y } = this.viewport.middle;
    const distance = ({ id }) => Math.hypot(places.get(id).x - x, places.get(id).y - y);
    const stayed = nodes.filter((n) => places.has(n.id) && String(this.#previous.get(n.id)?.boxes) === String(n.boxes));
    return stayed.length ? stayed.reduce((a, b) => (distance(b) < distance(a) ? b : a)).id : "";
  }

  #render() {
    const { nodes, lines, boxes } = this.#scene, { places, density } = this.#arrangement;
    for (const n of nodes) {
      const place = places.get(n.id), isSmall = density > 0, isWide = isSmall && n.version && place.w >= n.wide;
      Object.assign(n, { place, isSmall, isWide, ...n.sizes[density], ...(isWide && { w: n.wide }) });
    }
    for (const b of boxes) b.place = places.get(b.id);
    this.svg.classList.toggle("many", lines.length > maxLabelled);
    this.boxes.draw(boxes, (b) => [b.place, b.label, b.isStale]);
    this.#drawLines();
    this.nodes.draw(nodes, (n) => [n.w, n.h, n.name, n.subtitle, n.isWide, n.version, n.badges, n.monogram, n.flags, describe(n)]);
    for (const { element, thing } of this.nodes) element.setAttribute("transform", translation(thing.place));
    this.#highlight();
    this.#rove();
  }

  #drawn = []; // the lines with a route

  #drawLines() {
    const { lines } = this.#scene, { routes } = this.#arrangement;
    for (const l of lines) Object.assign(l, { route: routes.get(l.id), path: routes.has(l.id) ? toPath(routes.get(l.id).points) : "" });
    this.#drawn = lines.filter((l) => l.route);
    this.lines.draw(this.#drawn, (l) => [l.path, l.flags, l.width]);
    this.#drawLabels();
  }

  /** #move shows how nodes move from earlier places. */
  #move(before) {
    if (isStill.matches) return;
    let moved = false;
    for (const { element, thing: { id, place } } of this.nodes) {
      const from = before.get(id);
      if (!from || (from.x === place.x && from.y === place.y)) continue;
      moved = true;
      element.animate([{ transform: translation(from, "px") }, { transform: translation(place, "px") }], motion);
    }
    if (moved) for (const layer of [this.lines, this.labels, this.boxes]) layer.group.animate([{ opacity: 0 }, { opacity: 1 }], motion);
  }

  /** #drawLabels draws the labels and hover areas of lines if the scale makes them readable. */
  #drawLabels(wanted = this.viewport.scale >= minScale - rounding) {
    this.labels.draw(wanted ? this.#drawn : [], (l) => [l.route.label, this.#labelOf(l), l.flags, l.path]);
    this.#labelsDrawn = wanted;
  }

  /** #labelOf returns the text of a line's label and its width: that of the own links of a selected member, or of all. */
  #labelOf({ id, route, labels, labelWidths }) {
    const form = route.label?.form ?? 0, own = this.#own.get(id);
    return own ? labelOf(own, form) : { text: labels[form], width: labelWidths[form] ?? 0 };
  }

  /** withLabels calls a function with the drawing, including the labels that the scale hides, and returns its result. */
  withLabels(use) {
    this.#drawLabels(true);
    const result = use(this.svg);
    this.#drawLabels();
    this.#highlight();
    return result;
  }

  #labelsDrawn = false;

  /** hidden counts the lines without room for their label, and those that are not drawn. */
  get hidden() { return { labels: this.#drawn.filter((l) => !l.route.label).length, lines: this.#scene.lines.length - this.#drawn.length }; }

  /** focus moves the focus to a node, or to the node in the tab order. */
  focus(id) {
    (this.nodes.element(id) || this.nodes.element(this.#reached) || this.svg.parentElement).focus({ preventScroll: true });
  }

  /**
   * select highlights nodes and lines by their IDs, and their neighbours. A group is marked without its lines. own has the links of a
   * member of it by the IDs of their lines, which are labelled with those alone.
   */
  select(ids, group = "", own = new Map()) {
    this.#selected = new Set(group ? [...ids, group] : ids);
    this.#group = group;
    const isLabelled = this.#own.size + own.size > 0;
    this.#own = own;
    if (isLabelled) this.#drawLabels();
    this.#highlight();
  }

  /** show centres a node or line in the part of the frame above its covered height. */
  show(id, covered = 0) {
    const l = this.lines.thing(id);
    const place = l?.route ? { ...middleOf(l.route), w: 1, h: 1 } : this.#arrangement.places.get(id);
    if (place) this.viewport.show(place, covered);
  }

  #highlight() {
    if (!this.#selected.size && !this.svg.classList.contains("has-selection")) return;
    const near = new Set(this.#selected);
    for (const { thing } of this.lines) {
      if ([thing.from, thing.to, thing.id].some((id) => id !== this.#group && this.#selected.has(id))) [thing.id, thing.from, thing.to].forEach((id) => near.add(id));
    }
    this.svg.classList.toggle("has-selection", this.#selected.size > 0);
    for (const layer of [this.nodes, this.lines, this.labels]) {
      for (const { element, thing } of layer) {
        element.classList.toggle("selected", this.#selected.has(thing.id));
        element.classList.toggle("near", near.has(thing.id));
      }
    }
  }

  #scaled() {
    const far = this.viewport.scale < minScale - rounding;
    this.svg.classList.toggle("far", far);
    this.svg.parentElement.classList.toggle("zoomed-out", far);
    this.svg.classList.toggle("farther", this.viewport.scale < minLargeScale);
    if (this.#labelsDrawn === far) {
      this.#drawLabels();
      this.#highlight();
    }
  }

  #target(e) {
    const element = e?.target.closest?.("[data-kind]");
    if (!element) return null;
    const { id, kind } = element.dataset;
    const layer = { node: this.nodes, line: this.lines, box: this.boxes }[kind];
    return { kind, id, thing: layer?.thing(id) };
  }

  #click(e) {
    const target = this.#target(e);
    if (!target) this.on.select("", "");
    else if (target.kind === "box") this.on.closeGroup(target.thing);
    else this.on.select(target.kind, target.id);
  }

  /** #open opens a drawn node if it is a group, and reports whether it is one. */
  #open(thing) {
    const opens = !!thing?.node && isGroup(thing.node);
    if (opens) this.on.openGroup(thing.node);
    return opens;
  }

  #pointed = null;

  #point(e) {
    const target = this.#target(e);
    if (target?.id !== this.#pointed) {
      this.#cool();
      this.#pointed = target?.id ?? null;
      if (target?.kind === "line") this.#heat([target.thing]);
      const node = target?.kind === "node" ? target.id : "";
      this.#heatLinesOf(node);
      clearTimeout(this.#hoverTimer);
      if (this.#scene.lines.length > maxDrawn) this.#hoverTimer = setTimeout(() => this.#routeLinesOf(node), hoverDelay);
    }
    this.on.showTooltip(target?.kind, target?.thing, e);
  }

  #heatLinesOf(id) { this.#heat(id ? this.#scene.lines.filter((l) => l.from === id || l.to === id) : []); }

  #sideArranger = new Arranger(); // for what the pointer asks for
  #hoverTimer = 0;

  /** #routeLinesOf draws the lines of a node, besides those of the selection, on a map that does not draw all lines. */
  async #routeLinesOf(id) {
    const before = this.#arrangement;
    const arrangement = await this.#sideArranger.arrange(this.#request(this.#scene, before.places.keys(), new Set([...this.#selected, id])));
    if (!arrangement || this.#arrangement !== before) return;
    this.#arrangement = { ...before, routes: arrangement.routes };
    this.#drawLines();
    this.#highlight();
    this.#heatLinesOf(id);
  }

  /** #dragTo draws a node at a distance from its place. */
  #dragTo(id, { x, y }) {
    const place = this.nodes.thing(id)?.place;
    if (place) this.nodes.element(id).setAttribute("transform", translation({ x: place.x + x, y: place.y + y }));
  }

  /** #drop moves a node to the free place nearest to a distance from its place. All other nodes stay. */
  async #drop(id, by) {
    const place = this.nodes.thing(id)?.place;
    if (!place) return; // the node is gone
    this.frame.setAttribute("aria-busy", "true");
    const before = this.#arrangement, scene = this.#scene, request = this.#request(scene, before.places.keys(), this.#selected);
    request.kept.moved = { id, x: place.x + by.x, y: place.y + by.y };
    const arrangement = await this.#sideArranger.arrange(request);
    this.frame.removeAttribute("aria-busy");
    if (!arrangement || this.#scene !== scene) return this.#drop(id, by); // the map has changed meanwhile
    this.#apply(scene, { ...arrangement, signature: this.#signature });
    this.#pins.set(scene.byID.get(id), arrangement.places.get(id));
    this.#render();
  }

  /** light highlights the line that contains the link with a key, and no other. */
  light(key) {
    this.#cool();
    this.#heat(key ? this.#scene.lines.filter((l) => l.keys.includes(key)) : []);
  }

  #cool() { this.svg.querySelectorAll(".hot").forEach((element) => element.classList.remove("hot")); }

  #heat(lines) {
    for (const l of lines) [this.lines, this.labels].forEach((layer) => layer.element(l.id)?.classList.add("hot"));
  }

  /** #rove keeps one node in the tab order (roving tabindex); arrow keys move on from it. */
  #rove(id = this.#reached) {
    this.#reached = this.nodes.element(id) ? id : this.#scene.nodes[0]?.id;
    for (const { element, thing } of this.nodes) element.setAttribute("tabindex", thing.id === this.#reached ? "0" : "-1");
  }

  #reached = "";

  #focus(e) {
    const id = e.target.dataset?.id;
    if (!this.#arrangement.places.has(id)) return;
    this.#rove(id);
    if (e.target.matches(":focus-visible")) this.viewport.reveal(this.#arrangement.places.get(id));
  }

  #key(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (direction && e.shiftKey) this.viewport.pan(-60 * direction[0], -60 * direction[1]);
    else if (direction) this.#step(direction);
    else if ((e.key === "Enter" || e.key === " ") && this.nodes.element(e.target.dataset?.id)) this.#press(e.target, e.key);
    else return;
    e.preventDefault();
  }

  /** #press opens a group with Enter, and selects other nodes. The space bar selects. */
  #press(element, key) {
    if (key === "Enter" && this.#open(this.nodes.thing(element.dataset.id))) return;
    element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  }

  /** #step moves the focus to the nearest node in a direction. */
  #step([dx, dy]) {
    const active = document.activeElement?.dataset?.id;
    if (!this.#arrangement.places.has(active)) return void this.nodes.element(this.#reached)?.focus();
    const middle = (p) => [p.x + p.w / 2, p.y + p.h / 2];
    const [x, y] = middle(this.#arrangement.places.get(active));
    let best = null, minDistance = Infinity;
    for (const { id } of this.#scene.nodes) {
      const [ox, oy] = middle(this.#arrangement.places.get(id));
      const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      const distance = ahead + 2 * aside;
      if (ahead > 1 && distance < minDistance) [best, minDistance] = [id, distance];
    }
    if (best) this.nodes.element(best).focus();
  }

  #box(b) {
    const { x, y, w, h } = b.place;
    return svg("g", { class: `box ${b.kind}${b.isStale ? " stale" : ""}` },
      svg("rect", { x, y, width: w, height: h, rx: 10 }),
      svg("g", { class: "box-title", "data-id": b.id, "data-kind": "box" },
        svg("rect", { x, y, width: w, height: title, rx: 10 }),
        svg("text", { x: x + titleMargin, y: y + 2 * pitch }, b.label)));
  }
}

function arrowHead(kind) {
  return svg("marker", { id: `arrow${kind}`, class: `arrow${kind}`, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 0.5 L8 4 L0 7.5 Z" }));
}

/** startOfNew is the dot at the beginning of a new line. */
function startOfNew() {
  return svg("marker", { id: "start-new", class: "start-new", viewBox: "0 0 12 8", refX: 0, refY: 4, markerWidth: 12, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("circle", { cx: 8, cy: 4, r: 3.5 }));
}

/** endOfFailed is the cross at the end of a line without an answer. */
function endOfFailed() {
  return svg("marker", { id: "end-failed", class: "end-failed", viewBox: "0 0 12 12", refX: 9, refY: 6, markerWidth: 12, markerHeight: 12, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M1.5 1.5L10.5 10.5M1.5 10.5L10.5 1.5" }));
}

/** startOfGone is the cross at the beginning of a line that is gone. */
function startOfGone() {
  return svg("marker", { id: "start-gone", class: "start-gone", viewBox: "0 0 12 8", refX: 0, refY: 4, markerWidth: 12, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M5 1L11 7M5 7L11 1" }));
}

/** startOf returns the marker at the beginning of a line with flags; empty if it has none. */
const startOf = (flags) => ["gone", "new"].find((f) => flags.includes(f)) ?? "";

/** drawNode returns the element of a node with its size w and h. */
export function drawNode(n) {
  const { w, h, indent } = n, left = n.monogram ? 22 : 0;
  const round = n.node.kind === "external" ? h / 2 : cornerRadius;
  const g = svg("g", { class: ["node", ...n.flags].join(" "), "data-kind": "node", "data-draggable": "", role: "button", "aria-label": describe(n) });
  g.append(svg("rect", { class: "body", width: w, height: h, rx: round }));
  if (n.monogram) {
    g.append(svg("rect", { class: `monogram hue-${n.monogram.hue}`, x: 6, y: 4, width: 16, height: 16, rx: 4 }), svg("text", { class: "letter", x: 14, y: 16.5 }, n.monogram.letter));
  }
  g.append(svg("text", { class: "name", x: indent, y: 16.5 }, n.name), svg("text", { class: "large", x: (left + w) / 2, y: h / 2 + 6 }, n.large(w - left)));
  const end = addBadges(g, n);
  if (!n.isSmall) g.append(svg("text", { class: "small", x: end, y: 33 }, n.subtitle));
  else if (n.isWide) g.append(svg("text", { class: "small", x: n.versionAt, y: 16.5 }, n.version));
  if (n.isMarked) g.append(svg("circle", { class: "sign", cx: w - 12, cy: 12, r: 8 }), svg("text", { class: "sign-text", x: w - 12, y: 16.5 }, "!"));
  if (n.node.kind === "ambiguous" || n.node.kind === "unknown") {
    for (const cx of [0, w]) g.append(svg("path", { class: "body", d: `M${cx - 6} ${h / 2} l6 -6 l6 6 l-6 6 Z` }));
  }
  return g;
}

/** addBadges adds the badges of a node, in the second row or at the end of the only one, and returns where they end. */
function addBadges(g, { w, indent, badges, isSmall, isMarked }) {
  const length = badges.reduce((sum, b) => sum + b.w + 4, 0);
  let x = isSmall ? w - 4 - length - (isMarked ? 20 : 0) : indent;
  for (const { label: text, w: width, kind } of badges) {
    g.append(svg("g", { class: kind }, svg("rect", { x, y: isSmall ? 4 : 21, width, height: 16, rx: 4 }), svg("text", { x: x + width / 2, y: isSmall ? 16.5 : 33.5 }, text)));
    x += width + 4;
  }
  return x;
}

const translation = ({ x, y }, unit = "") => `translate(${x}${unit}, ${y}${unit})`;

/** toPath returns the corners of a route as SVG path data with rounded bends. */
function toPath(points) {
  const parts = [`M${points[0].x} ${points[0].y}`];
  for (let i = 1; i + 1 < points.length; i++) {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
    const r = Math.min(bendRadius, distance(a, b) / 2, distance(b, c) / 2), from = towards(b, a, r), to = towards(b, c, r);
    parts.push(`L${from.x} ${from.y}Q${b.x} ${b.y} ${to.x} ${to.y}`);
  }
  const end = towards(points.at(-1), points.at(-2), arrow);
  return [...parts, `L${end.x} ${end.y}`].join("");
}

const distance = (a, b) => Math.abs(a.x - b.x) + Math.abs(a.y - b.y);

/** towards returns the point at a distance from a on a horizontal or vertical line to b. */
const towards = (a, b, d) => ({ x: a.x + Math.sign(b.x - a.x) * d, y: a.y + Math.sign(b.y - a.y) * d });

/** middleOf returns the middle of a route's label, or of its longest segment. */
function middleOf({ points, label: at }) {
  if (at) return { x: at.x + at.w / 2, y: at.y + at.h / 2 };
  const segments = points.slice(1).map((b, i) => [points[i], b]);
  const [a, b] = segments.reduce((long, s) => (distance(...s) > distance(...long) ? s : long));
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

/** drawLine returns the element of a line with its path. */
export function drawLine(l) {
  const kind = l.flags.includes("gone") ? "-gone" : l.flags.includes("new") ? "-new" : l.flags.includes("past") || l.flags.includes("stale") ? "-past" : "";
  const head = l.flags.includes("failed") ? "end-failed" : `arrow${kind}`;
  return svg("g", { class: ["line", ...l.flags].join(" "), "data-kind": "line" },
    svg("path", { class: "stroke", d: l.path, "stroke-width": Math.round(l.width * 10) / 10, "marker-end": `url(#${head})`, ...(startOf(l.flags) && { "marker-start": `url(#start-${startOf(l.flags)})` }) }));
}

/** label is the text of a line, with a broad invisible line as hover and click area. */
function label(l, { text, width }) {
  const { x, y } = middleOf(l.route);
  return svg("g", { class: ["label", l.route.label ? "" : "crowded", ...l.flags].filter(Boolean).join(" "), "data-kind": "line" },
    svg("path", { class: "reach", d: l.path }),
    svg("rect", { class: "label-ground", x: x - width / 2, y: y - 8, width, height: 16, rx: 4 }), svg("text", { x, y: y + 4.5 }, text));
}
