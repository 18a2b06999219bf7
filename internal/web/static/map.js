// The map: an SVG drawing of a scene with its hover and selection states.
import { curve, placeBadges, placeLabels, toPath } from "./geometry.js";
import { extent, layout, title } from "./layout.js";
import { isGroup } from "./format.js";
import { describe } from "./scene.js";
import { insertNodes } from "./incremental.js";
import { Layer, svg } from "./svg.js";
import { Viewport } from "./viewport.js";

const minReadableScale = 0.52; // below it small letters are not drawn
const cornerRadius = 7;
const maxVacated = 200; // places of removed nodes that new nodes may take
const maxSparseness = 3; // growth of the area per node that triggers a new layout

export class MapDrawing {
  #places = new Map();
  #previous = new Map(); // the nodes with a place, as they were drawn last
  #areaPerNode = 0; // after the last full layout
  #scene = { nodes: [], lines: [], boxes: [], badges: [], byID: new Map() };
  #selected = new Set();

  /**
   * on has select(kind, id), openGroup(node), closeGroup(box), moved(look) and showTooltip(kind, thing, event); without a thing
   * the pointer left.
   */
  constructor(frame, on) {
    this.on = on;
    this.svg = svg("svg", { class: "drawing-root" });
    this.svg.append(svg("defs", {}, ...["", "-past", "-new"].map(arrowHead)));
    frame.append(this.svg);
    this.boxes = new Layer(this.svg, "boxes", (b) => this.#box(b));
    this.connectors = new Layer(this.svg, "connectors", connector);
    this.lines = new Layer(this.svg, "lines", line);
    this.labels = new Layer(this.svg, "labels", label);
    this.badges = new Layer(this.svg, "port-badges", portBadge);
    this.nodes = new Layer(this.svg, "nodes", node);
    this.viewport = new Viewport(frame, this.svg, () => this.#scaled(), () => on.moved(this.viewport.look));
    frame.addEventListener("click", (e) => this.#click(e));
    frame.addEventListener("keydown", (e) => this.#key(e));
    for (const type of ["pointerover", "pointermove"]) frame.addEventListener(type, (e) => this.#point(e));
    frame.addEventListener("pointerleave", () => this.#point(null));
    frame.addEventListener("focusin", (e) => this.#focus(e));
  }

  /**
   * draw draws a scene. With exists the drawn nodes stay in place and new ones get free places; exists(id) reports whether a node
   * that the scene lacks still exists. look is the initial position and scale; if it is empty the whole map is shown.
   */
  draw(scene, { exists, look = "" } = {}) {
    const present = new Set([...scene.nodes, ...scene.boxes].map((thing) => thing.id));
    const moved = this.#arrange(scene, exists && ((id) => present.has(id) || exists(id)));
    if (scene.nodes.length) this.viewport.resize(extent([...this.#places].filter(([id]) => present.has(id)).map(([, p]) => p)));
    if (look) this.viewport.look = look; // before rendering, which skips labels that are too small to read
    else if (!moved) this.viewport.begin();
    else this.viewport.follow(moved);
    this.#scene = scene;
    this.#render();
  }

  /** #arrange places all nodes. It returns the move of the node in the middle of the view, or a false value after a full layout. */
  #arrange({ nodes, lines, badges }, isAlive) {
    if (!nodes.length) return { x: 0, y: 0 }; // an empty map keeps the places
    const pairs = lines.filter((l) => l.from !== l.to).map((l) => [l.from, l.to]);
    const badgesAt = (id) => badges.filter((p) => p.box === id).length;
    const { x, y } = this.viewport.middle;
    const distance = ({ id }) => Math.hypot(this.#places.get(id).x - x, this.#places.get(id).y - y);
    const stayed = nodes.filter((n) => this.#places.has(n.id) && String(this.#previous.get(n.id)?.boxes) === String(n.boxes));
    const middle = stayed.length > 0 && stayed.reduce((a, b) => (distance(b) < distance(a) ? b : a));
    const before = this.#places.get(middle?.id);
    const kept = isAlive && before && insertNodes(nodes, pairs, this.#places, { isAlive, previous: this.#previous, badges: badgesAt }) && this.#area(isAlive) < maxSparseness * this.#areaPerNode;
    if (!kept) this.#layOut(nodes, pairs, badgesAt);
    else this.#forget([...this.#places.keys()].filter((id) => !isAlive(id)));
    nodes.forEach((n) => this.#previous.set(n.id, n));
    for (const id of this.#previous.keys()) if (!this.#places.has(id)) this.#previous.delete(id);
    const after = this.#places.get(middle?.id);
    return kept && { x: after.x - before.x, y: after.y - before.y };
  }

  #layOut(nodes, pairs, badgesAt) {
    this.#places = layout(nodes, pairs, badgesAt);
    this.#areaPerNode = this.#area(() => true);
  }

  /** #area returns the area of the map per node. */
  #area(isAlive) {
    const alive = [...this.#places].filter(([id]) => isAlive(id)).map(([, p]) => p);
    const { w, h } = extent(alive);
    return (w * h) / Math.max(1, alive.length);
  }

  /** #forget drops all but the latest places of removed nodes. */
  #forget(gone) {
    for (const id of gone.slice(0, Math.max(0, gone.length - maxVacated))) this.#places.delete(id);
  }

  #render() {
    const { nodes, lines, boxes, badges } = this.#scene;
    const at = (id) => this.#places.get(id);
    for (const n of nodes) n.place = { ...at(n.id), w: n.w };
    for (const b of boxes) b.place = at(b.id);
    for (const l of lines) l.curve = curve(at(l.from), l.from === l.to ? at(l.from) : at(l.to));
    const placed = placeBadges(badges, nodes.map((n) => n.place), this.#places);
    placeLabels(lines, [...nodes.map((n) => n.place), ...boxes.map((b) => ({ ...b.place, h: title })), ...placed.map((p) => p.place)]);
    const connectors = placed.flatMap((p) => p.connectors.map((path, i) => ({ id: `${p.id} ${i}`, path })));
    this.boxes.draw(boxes, (b) => [b.place, b.label]);
    this.connectors.draw(connectors, (c) => c.path);
    this.lines.draw(lines, (l) => [l.curve, l.flags, l.width]);
    this.#drawLabels();
    this.badges.draw(placed, (p) => [p.place, p.label]);
    this.nodes.draw(nodes, (n) => [n.place, n.w, n.name, n.subtitle, n.flags, describe(n)]);
    this.#highlight();
    this.#rove();
  }

  /** #drawLabels draws the labels and hover areas of lines if the scale makes them readable. */
  #drawLabels(wanted = this.viewport.scale >= minReadableScale) {
    this.labels.draw(wanted ? this.#scene.lines : [], (l) => [l.at, l.middle, l.label, l.flags, l.curve]);
    this.#labelsDrawn = wanted;
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

  /** hiddenLabels is the number of lines without room for their label. */
  get hiddenLabels() { return this.#scene.lines.filter((l) => !l.at).length; }

  /** focus moves the focus to a node, or to the node in the tab order. */
  focus(id) {
    (this.nodes.element(id) || this.nodes.element(this.#reached) || this.svg.parentElement).focus({ preventScroll: true });
  }

  /** select highlights nodes and lines by their IDs, and their neighbours. */
  select(ids) {
    this.#selected = new Set(ids);
    this.#highlight();
  }

  /** show centres a node or line. */
  show(id) {
    const l = this.lines.thing(id);
    const place = l ? { x: l.middle.x, y: l.middle.y, w: 1, h: 1 } : this.#places.get(id);
    if (place) this.viewport.show(place);
  }

  #highlight() {
    if (!this.#selected.size && !this.svg.classList.contains("has-selection")) return;
    const near = new Set(this.#selected);
    for (const { thing } of this.lines) {
      if (this.#selected.has(thing.from) || this.#selected.has(thing.to) || this.#selected.has(thing.id)) [thing.id, thing.from, thing.to].forEach((id) => near.add(id));
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
    const far = this.viewport.scale < minReadableScale;
    this.svg.classList.toggle("far", far);
    this.svg.parentElement.classList.toggle("zoomed-out", far);
    this.svg.classList.toggle("farther", this.viewport.scale < minReadableScale / 3);
    if (this.#labelsDrawn !== this.viewport.scale >= minReadableScale) {
      this.#drawLabels();
      this.#highlight();
    }
  }

  #target(e) {
    const element = e?.target.closest?.("[data-kind]");
    if (!element) return null;
    const { id, kind } = element.dataset;
    const layer = { node: this.nodes, line: this.lines, box: this.boxes, port: this.badges }[kind];
    return { kind, id, thing: layer?.thing(id) };
  }

  #click(e) {
    const target = this.#target(e);
    if (!target) this.on.select("", "");
    else if (target.kind === "box") this.on.closeGroup(target.thing);
    else if (target.kind === "node" && isGroup(target.thing.node)) this.on.openGroup(target.thing.node);
    else if (target.kind === "port") this.on.select("node", [...target.thing.to][0]);
    else this.on.select(target.kind, target.id);
  }

  #pointed = null;

  #point(e) {
    const target = this.#target(e);
    if (target?.id !== this.#pointed) {
      this.svg.querySelectorAll(".hot").forEach((element) => element.classList.remove("hot"));
      this.#pointed = target?.id ?? null;
      if (target?.kind === "line") this.#heat([target.thing]);
      if (target?.kind === "node") this.#heat(this.#scene.lines.filter((l) => l.from === target.id || l.to === target.id));
    }
    this.on.showTooltip(target?.kind, target?.thing, e);
  }

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
    if (!this.#places.has(id)) return;
    this.#rove(id);
    if (e.target.matches(":focus-visible")) this.viewport.reveal(this.#places.get(id));
  }

  #key(e) {
    if (e.ctrlKey || e.altKey || e.metaKey) return;
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (direction && e.shiftKey) this.viewport.pan(-60 * direction[0], -60 * direction[1]);
    else if (direction) this.#step(direction);
    else if ((e.key === "Enter" || e.key === " ") && this.nodes.element(e.target.dataset?.id)) e.target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    else return;
    e.preventDefault();
  }

  /** #step moves the focus to the nearest node in a direction. */
  #step([dx, dy]) {
    const active = document.activeElement?.dataset?.id;
    if (!this.#places.has(active)) return void this.nodes.element(this.#reached)?.focus();
    const middle = (p) => [p.x + p.w / 2, p.y + p.h / 2];
    const [x, y] = middle(this.#places.get(active));
    let best = null, minDistance = Infinity;
    for (const { id } of this.#scene.nodes) {
      const [ox, oy] = middle(this.#places.get(id));
      const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      const distance = ahead + 2 * aside;
      if (ahead > 1 && distance < minDistance) [best, minDistance] = [id, distance];
    }
    if (best) this.nodes.element(best).focus();
  }

  #box(b) {
    const { x, y, w, h } = b.place;
    return svg("g", { class: `box ${b.kind}` },
      svg("rect", { x, y, width: w, height: h, rx: 10 }),
      svg("g", { class: "box-title", "data-id": b.id, "data-kind": "box" },
        svg("rect", { x, y, width: w, height: title, rx: 10 }),
        svg("text", { x: x + 12, y: y + 16 }, b.label)));
  }
}

function arrowHead(kind) {
  return svg("marker", { id: `arrow${kind}`, class: `arrow${kind}`, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 0.5 L8 4 L0 7.5 Z" }));
}

function node(n) {
  const { x, y } = n.place, { w, h } = n;
  const round = n.node.kind === "external" ? h / 2 : cornerRadius;
  const g = svg("g", { class: ["node", ...n.flags].join(" "), "data-kind": "node", role: "button", "aria-label": describe(n) });
  if (n.flags.includes("group")) for (const d of [6, 3]) g.append(svg("rect", { class: "behind", x: x + d, y: y + d, width: w, height: h, rx: round }));
  g.append(svg("rect", { class: "body", x, y, width: w, height: h, rx: round }));
  g.append(svg("text", { class: "name", x: x + 10, y: y + 18 }, n.name), svg("text", { class: "small", x: x + 10, y: y + 33 }, n.subtitle));
  g.append(svg("text", { class: "large", x: x + w / 2, y: y + 27 }, n.large));
  if (n.flags.includes("incomplete")) {
    g.append(svg("circle", { class: "sign", cx: x + w - 15, cy: y + 14, r: 8 }), svg("text", { class: "sign-text", x: x + w - 15, y: y + 18 }, "!"));
  }
  if (n.node.kind === "ambiguous" || n.node.kind === "unknown") {
    for (const cx of [x, x + w]) g.append(svg("path", { class: "body", d: `M${cx - 6} ${y + h / 2} l6 -6 l6 6 l-6 6 Z` }));
  }
  return g;
}

function line(l) {
  const head = l.flags.includes("new") ? "-new" : l.flags.includes("past") || l.flags.includes("stale") ? "-past" : "";
  const d = toPath(l.curve);
  return svg("g", { class: ["line", ...l.flags].join(" "), "data-kind": "line" },
    svg("path", { class: "stroke", d, "stroke-width": Math.round(l.width * 10) / 10, "marker-end": `url(#arrow${head})` }));
}

/** label is the text of a line, with a broad invisible line as hover and click area. */
function label(l) {
  const { x, y } = l.at ? { x: l.at.x + l.at.w / 2, y: l.at.y + 11 } : { x: l.middle.x, y: l.middle.y + 4 };
  return svg("g", { class: ["label", l.at ? "" : "crowded", ...l.flags].join(" "), "data-kind": "line" },
    svg("path", { class: "reach", d: toPath(l.curve) }), svg("text", { x: Math.round(x), y: Math.round(y) }, l.label));
}

const connector = (c) => svg("path", { d: c.path });

function portBadge({ place: { x, y, w, h }, label: text }) {
  return svg("g", { class: "port-badge", "data-kind": "port" },
    svg("rect", { x, y, width: w, height: h, rx: 4 }), svg("text", { x: x + w / 2, y: y + 13 }, text));
}
