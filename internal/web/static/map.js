// The map: an SVG drawing of a picture, with what is pointed at and what is selected.
import { hang, labelled, curve, pathOf } from "./geometry.js";
import { extent, layout, title } from "./layout.js";
import { isGroup } from "./names.js";
import { describe } from "./picture.js";
import { placeNew } from "./settle.js";
import { Layer, svg } from "./svg.js";
import { Viewport } from "./viewport.js";

const readable = 0.52; // the scale below which small letters are not drawn
const corner = 7;
const mostGone = 200; // places of what is gone are kept for what comes instead
const sparse = 3; // so many times the room of a node is what it may take after others came and went

export class MapDrawing {
  #places = new Map();
  #homes = new Map(); // the nodes that have a place, as they were drawn last
  #room = 0; // that each node took when all was laid out
  #picture = { nodes: [], lines: [], boxes: [], plates: [], byID: new Map() };
  #selected = new Set();

  /**
   * on has the functions select(kind, id), open(node), close(box), moved(look), and point(kind, thing, event), which gets nothing
   * when nothing is pointed at.
   */
  constructor(frame, on) {
    this.on = on;
    this.svg = svg("svg", { class: "drawing-root" });
    this.svg.append(svg("defs", {}, ...["", "-past", "-new"].map(arrowHead)));
    frame.append(this.svg);
    this.boxes = new Layer(this.svg, "boxes", (b) => this.#box(b));
    this.wires = new Layer(this.svg, "wires", wire);
    this.lines = new Layer(this.svg, "lines", line);
    this.labels = new Layer(this.svg, "labels", label);
    this.plates = new Layer(this.svg, "plates", plate);
    this.nodes = new Layer(this.svg, "nodes", node);
    this.viewport = new Viewport(frame, this.svg, () => this.#scaled(), () => on.moved(this.viewport.look));
    frame.addEventListener("click", (e) => this.#click(e));
    frame.addEventListener("keydown", (e) => this.#key(e));
    for (const type of ["pointerover", "pointermove"]) frame.addEventListener(type, (e) => this.#point(e));
    frame.addEventListener("pointerleave", () => this.#point(null));
    frame.addEventListener("focusin", (e) => this.#focus(e));
  }

  /**
   * draw draws a picture. If there is keep, nothing that is drawn already moves, and what is new is put where there is room; it
   * tells of nodes that are not in the picture whether they may come back. look is what is to be in sight; empty for all.
   */
  draw(picture, { keep, look = "" } = {}) {
    const present = new Set([...picture.nodes, ...picture.boxes].map((thing) => thing.id));
    const moved = this.#arrange(picture, keep && ((id) => present.has(id) || keep(id)));
    if (picture.nodes.length) this.viewport.resize(extent([...this.#places].filter(([id]) => present.has(id)).map(([, p]) => p)));
    if (look) this.viewport.look = look; // before anything is drawn, so that nothing is drawn that is too small to be seen
    else if (!moved) this.viewport.begin();
    else this.viewport.follow(moved);
    this.#picture = picture;
    this.#render();
  }

  /** #arrange gives all a place, and returns how far what is in the middle of the view was moved; nothing where all is anew. */
  #arrange({ nodes, lines, plates }, isAlive) {
    if (!nodes.length) return { x: 0, y: 0 }; // until there are some again
    const pairs = lines.filter((l) => l.from !== l.to).map((l) => [l.from, l.to]);
    const platesOf = (id) => plates.filter((p) => p.box === id).length;
    const { x, y } = this.viewport.middle;
    const far = ({ id }) => Math.hypot(this.#places.get(id).x - x, this.#places.get(id).y - y);
    const stayed = nodes.filter((n) => this.#places.has(n.id) && String(this.#homes.get(n.id)?.boxes) === String(n.boxes));
    const middle = stayed.length > 0 && stayed.reduce((a, b) => (far(b) < far(a) ? b : a));
    const before = this.#places.get(middle?.id);
    const kept = isAlive && before && placeNew(nodes, pairs, this.#places, { isAlive, homes: this.#homes, plates: platesOf }) && this.#roomOf(isAlive) < sparse * this.#room;
    if (!kept) this.#layOut(nodes, pairs, platesOf);
    else this.#forget([...this.#places.keys()].filter((id) => !isAlive(id)));
    nodes.forEach((n) => this.#homes.set(n.id, n));
    for (const id of this.#homes.keys()) if (!this.#places.has(id)) this.#homes.delete(id);
    const after = this.#places.get(middle?.id);
    return kept && { x: after.x - before.x, y: after.y - before.y };
  }

  #layOut(nodes, pairs, platesOf) {
    this.#places = layout(nodes, pairs, platesOf);
    this.#room = this.#roomOf(() => true);
  }

  /** #roomOf is how large the map is for each node that may be on it. */
  #roomOf(isAlive) {
    const alive = [...this.#places].filter(([id]) => isAlive(id)).map(([, p]) => p);
    const { w, h } = extent(alive);
    return (w * h) / Math.max(1, alive.length);
  }

  /** #forget forgets the places of all but the last of what is gone. */
  #forget(gone) {
    for (const id of gone.slice(0, Math.max(0, gone.length - mostGone))) this.#places.delete(id);
  }

  #render() {
    const { nodes, lines, boxes, plates } = this.#picture;
    const at = (id) => this.#places.get(id);
    for (const n of nodes) n.place = { ...at(n.id), w: n.w };
    for (const b of boxes) b.place = at(b.id);
    for (const l of lines) l.curve = curve(at(l.from), l.from === l.to ? at(l.from) : at(l.to));
    const hung = hang(plates, nodes.map((n) => n.place), this.#places);
    labelled(lines, [...nodes.map((n) => n.place), ...boxes.map((b) => ({ ...b.place, h: title })), ...hung.map((p) => p.place)]);
    const wires = hung.flatMap((p) => p.wires.map((path, i) => ({ id: `${p.id} ${i}`, path })));
    this.boxes.draw(boxes, (b) => [b.place, b.label]);
    this.wires.draw(wires, (w) => w.path);
    this.lines.draw(lines, (l) => [l.curve, l.flags, l.width]);
    this.#drawLabels();
    this.plates.draw(hung, (p) => [p.place, p.label]);
    this.nodes.draw(nodes, (n) => [n.place, n.w, n.name, n.subtitle, n.flags, describe(n)]);
    this.#mark();
    this.#rove();
  }

  /** #drawLabels draws what is to be read and pointed at along lines, where it is large enough for that. */
  #drawLabels(wanted = this.viewport.scale >= readable) {
    this.labels.draw(wanted ? this.#picture.lines : [], (l) => [l.at, l.middle, l.label, l.flags, l.curve]);
    this.#labelled = wanted;
  }

  /** whole hands the drawing to a function as it is when seen closely. */
  whole(take) {
    this.#drawLabels(true);
    const taken = take(this.svg);
    this.#drawLabels();
    this.#mark();
    return taken;
  }

  #labelled = false;

  /** crowded is how many lines have no room for their label. */
  get crowded() { return this.#picture.lines.filter((l) => !l.at).length; }

  /** focus gives the focus to a node, or to the one that the keyboard reaches. */
  focus(id) {
    (this.nodes.element(id) || this.nodes.element(this.#reached) || this.svg.parentElement).focus({ preventScroll: true });
  }

  /** select marks nodes and lines as selected, by their IDs, and whatever they are linked with. */
  select(ids) {
    this.#selected = new Set(ids);
    this.#mark();
  }

  /** show brings a node or line into sight. */
  show(id) {
    const l = this.lines.thing(id);
    const place = l ? { x: l.middle.x, y: l.middle.y, w: 1, h: 1 } : this.#places.get(id);
    if (place) this.viewport.show(place);
  }

  #mark() {
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
    const far = this.viewport.scale < readable;
    this.svg.classList.toggle("far", far);
    this.svg.parentElement.classList.toggle("from-afar", far);
    this.svg.classList.toggle("farther", this.viewport.scale < readable / 3);
    if (this.#labelled !== this.viewport.scale >= readable) {
      this.#drawLabels();
      this.#mark();
    }
  }

  #target(e) {
    const element = e?.target.closest?.("[data-kind]");
    if (!element) return null;
    const { id, kind } = element.dataset;
    const layer = { node: this.nodes, line: this.lines, box: this.boxes, plate: this.plates }[kind];
    return { kind, id, thing: layer?.thing(id) };
  }

  #click(e) {
    const target = this.#target(e);
    if (!target) this.on.select("", "");
    else if (target.kind === "box") this.on.close(target.thing);
    else if (target.kind === "node" && isGroup(target.thing.node)) this.on.open(target.thing.node);
    else if (target.kind === "plate") this.on.select("node", [...target.thing.to][0]);
    else this.on.select(target.kind, target.id);
  }

  #pointed = null;

  #point(e) {
    const target = this.#target(e);
    if (target?.id !== this.#pointed) {
      this.svg.querySelectorAll(".hot").forEach((element) => element.classList.remove("hot"));
      this.#pointed = target?.id ?? null;
      if (target?.kind === "line") this.#heat([target.thing]);
      if (target?.kind === "node") this.#heat(this.#picture.lines.filter((l) => l.from === target.id || l.to === target.id));
    }
    this.on.point(target?.kind, target?.thing, e);
  }

  #heat(lines) {
    for (const l of lines) [this.lines, this.labels].forEach((layer) => layer.element(l.id)?.classList.add("hot"));
  }

  /** #rove lets the tabulator reach one node alone; arrow keys lead on from it. */
  #rove(id = this.#reached) {
    this.#reached = this.nodes.element(id) ? id : this.#picture.nodes[0]?.id;
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

  /** #step leads from the reached node to the nearest one in a direction. */
  #step([dx, dy]) {
    const active = document.activeElement?.dataset?.id;
    if (!this.#places.has(active)) return void this.nodes.element(this.#reached)?.focus();
    const middle = (p) => [p.x + p.w / 2, p.y + p.h / 2];
    const [x, y] = middle(this.#places.get(active));
    let best = null, least = Infinity;
    for (const { id } of this.#picture.nodes) {
      const [ox, oy] = middle(this.#places.get(id));
      const ahead = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      const far = ahead + 2 * aside;
      if (ahead > 1 && far < least) [best, least] = [id, far];
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
  const round = n.node.kind === "external" ? h / 2 : corner;
  const g = svg("g", { class: ["node", ...n.flags].join(" "), "data-kind": "node", role: "button", "aria-label": describe(n) });
  if (n.flags.includes("group")) for (const d of [6, 3]) g.append(svg("rect", { class: "behind", x: x + d, y: y + d, width: w, height: h, rx: round }));
  g.append(svg("rect", { class: "body", x, y, width: w, height: h, rx: round }));
  g.append(svg("text", { class: "name", x: x + 10, y: y + 18 }, n.name), svg("text", { class: "small", x: x + 10, y: y + 33 }, n.subtitle));
  g.append(svg("text", { class: "large", x: x + w / 2, y: y + 27 }, n.large));
  if (n.flags.includes("unread")) {
    g.append(svg("circle", { class: "badge", cx: x + w - 15, cy: y + 14, r: 8 }), svg("text", { class: "badge-text", x: x + w - 15, y: y + 18 }, "!"));
  }
  if (n.node.kind === "ambiguous") {
    for (const cx of [x, x + w]) g.append(svg("path", { class: "body", d: `M${cx - 6} ${y + h / 2} l6 -6 l6 6 l-6 6 Z` }));
  }
  return g;
}

function line(l) {
  const tip = l.flags.includes("new") ? "-new" : l.flags.includes("past") || l.flags.includes("stale") ? "-past" : "";
  const d = pathOf(l.curve);
  return svg("g", { class: ["line", ...l.flags].join(" "), "data-kind": "line" },
    svg("path", { class: "stroke", d, "stroke-width": Math.round(l.width * 10) / 10, "marker-end": `url(#arrow${tip})` }));
}

/** label is a line's text, and a broad line that is pointed at in place of the thin one. */
function label(l) {
  const { x, y } = l.at ? { x: l.at.x + l.at.w / 2, y: l.at.y + 11 } : { x: l.middle.x, y: l.middle.y + 4 };
  return svg("g", { class: ["label", l.at ? "" : "crowded", ...l.flags].join(" "), "data-kind": "line" },
    svg("path", { class: "reach", d: pathOf(l.curve) }), svg("text", { x: Math.round(x), y: Math.round(y) }, l.label));
}

const wire = (w) => svg("path", { d: w.path });

function plate({ place: { x, y, w, h }, label: text }) {
  return svg("g", { class: "plate", "data-kind": "plate" },
    svg("rect", { x, y, width: w, height: h, rx: 4 }), svg("text", { x: x + w / 2, y: y + 13 }, text));
}
