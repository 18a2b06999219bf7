// The matrix on the page: the names of callers at the left, those of called nodes above, and the cells, which zoom and pan.
import { html, setText } from "./html.js";
import { formatCount, truncate } from "./format.js";
import { cellSize, Matrix } from "./matrix.js";
import { svg } from "./svg.js";
import { Viewport } from "./viewport.js";

const minLabel = 14; // px of a row or column with room for its name
const letterWidth = 7; // px, more than the mean of a letter of a name
const besideName = 26; // px for the monogram and the gaps beside it
const legibleScale = 1; // of a cell that is shown to the user
const minSide = 3; // px of a cell on the screen
const saved = { left: 240, top: 190 }; // px for the names in a saved picture

export class MatrixDrawing {
  #matrix = new Matrix({ nodes: [], lines: [] });
  #nodes = new Map();
  #selected = new Set();
  #pointed = null; // the row, column and line under the pointer or the cursor
  #enlarged = 1; // the factor by which the drawn cells are larger than their places
  #stripes = svg("g", { class: "stripes" });

  /** on is that of MapDrawing, with announceLine(line). */
  constructor(frame, on) {
    this.on = on;
    this.svg = svg("svg", { class: "drawing-root" });
    this.body = html("div", { className: "matrix-body", tabIndex: 0, role: "group",
      "aria-label": "Matrix of callers and called nodes; the table has the same content. Arrow keys move between cells, Enter selects, plus and minus zoom." }, this.svg);
    this.corner = html("p", { className: "matrix-corner" });
    this.left = svg("svg", { class: "drawing-root matrix-left" });
    this.top = svg("svg", { class: "drawing-root matrix-top" });
    frame.append(this.corner, this.top, this.left, this.body);
    this.viewport = new Viewport(this.body, this.svg, 0, () => this.#moved(), () => on.moved(this.viewport.look), true);
    this.body.addEventListener("pointermove", (e) => this.#hover(this.#at(e), e));
    this.body.addEventListener("pointerleave", () => this.#hover(null));
    this.body.addEventListener("click", (e) => this.#choose(this.#at(e)?.line));
    this.body.addEventListener("keydown", (e) => this.#key(e));
    for (const names of [this.left, this.top]) {
      names.addEventListener("click", (e) => on.select("node", nodeAt(e) ?? ""));
      names.addEventListener("dblclick", (e) => on.openNode(nodeAt(e)));
      names.addEventListener("pointermove", (e) => on.showTooltip("node", this.#nodes.get(nodeAt(e)), e));
      names.addEventListener("pointerleave", () => on.showTooltip());
    }
  }

  #at(e) { return this.#matrix.at(this.viewport.locate(e)); }

  /** draw draws a scene. look is the initial position and scale; if it is empty, all of a new matrix is shown. */
  draw(scene, isNew, look) {
    this.#matrix = new Matrix(scene);
    this.#nodes = scene.byID;
    this.#pointed = null;
    this.viewport.resize(this.#matrix.size);
    if (look) this.viewport.look = look;
    else if (isNew) this.viewport.fit();
    this.#drawCells();
    this.#mark();
    const { rows, columns } = this.#matrix;
    setText(this.corner, `${formatCount(rows.length, "caller")} ↓ calling ${formatCount(columns.length, "node")} →`);
  }

  get hidden() { return { labels: 0, lines: 0 }; }

  focus() { this.body.focus({ preventScroll: true }); }

  /** select marks the rows and columns of nodes and lines. */
  select(ids) {
    this.#selected = new Set(ids);
    this.#mark();
  }

  /** light marks the cell of the link with a key, and no other. */
  light(key) {
    this.#pointed = (key && this.#matrix.cells.find((c) => c.line.keys.includes(key))) || null;
    this.#mark();
  }

  /** show centres the cell of a line, or the first cell of a node, in the part of the frame above its covered height. */
  show(id, covered = 0) {
    const cell = this.#matrix.find(id);
    if (cell) this.viewport.show(placeOf(cell), covered, legibleScale);
  }

  /** withLabels calls a function with a drawing of all cells and names, and returns its result. */
  withLabels(use) {
    const { rows, columns, size: { w, h } } = this.#matrix, { left, top } = saved;
    const all = { offset: 0, length: cellSize, extent: Infinity };
    return use(svg("svg", { width: left + w, height: top + h },
      svg("g", { transform: `translate(${left}, 0)` }, ...this.#names(columns, { ...all, room: top }, nameAbove)),
      svg("g", { transform: `translate(0, ${top})` }, ...this.#names(rows, { ...all, room: left }, nameBeside)),
      svg("g", { transform: `translate(${left}, ${top})` }, ...this.#cells(1))));
  }

  /** #enlargement returns the factor that gives each cell minSide on the screen. It is a power of two: few zoom steps draw them again. */
  get #enlargement() { return 2 ** Math.ceil(Math.log2(Math.max(1, minSide / (cellSize * this.viewport.scale)))); }

  #moved() {
    if (this.#enlarged !== this.#enlargement) this.#drawCells();
    this.#drawNames();
  }

  #drawCells() {
    this.#enlarged = this.#enlargement;
    this.svg.replaceChildren(...this.#cells(this.#enlarged), this.#stripes);
  }

  /** #cells returns the lines between groups, and one path for all cells of the same class. */
  #cells(factor) {
    const { rows, columns, cells, size } = this.#matrix;
    const walls = [...rows.starts.map((i) => `M0 ${i * cellSize}h${size.w}`), ...columns.starts.map((i) => `M${i * cellSize} 0v${size.h}`)];
    return [svg("rect", { class: "cells-ground", width: size.w, height: size.h }), svg("path", { class: "walls", d: walls.join("") }),
      ...[...Map.groupBy(cells, classOf)].map(([name, alike]) => svg("path", { class: `cell ${name}`, d: alike.map((c) => shapeOf(c, factor)).join("") }))];
  }

  /** #mark draws the rows and columns of what is selected, and of what is under the pointer. */
  #mark() {
    const { rows, columns, size, cells } = this.#matrix, marks = [];
    const add = (kind, row, column) => {
      if (row !== undefined) marks.push(svg("rect", { class: `stripe ${kind}`, x: 0, y: row * cellSize, width: size.w, height: cellSize }));
      if (column !== undefined) marks.push(svg("rect", { class: `stripe ${kind}`, x: column * cellSize, y: 0, width: cellSize, height: size.h }));
    };
    for (const id of this.#selected) {
      const cell = cells.find((c) => c.line.id === id);
      add("selected", cell ? cell.row : rows.indices.get(id), cell ? cell.column : columns.indices.get(id));
    }
    if (this.#pointed) add("hot", this.#pointed.row, this.#pointed.column);
    this.#stripes.replaceChildren(...marks);
    this.#drawNames();
  }

  #drawNames() {
    const { rows, columns } = this.#matrix, { x, y, k } = this.viewport.transform, length = cellSize * k;
    const beside = { offset: y, length, extent: this.body.clientHeight, room: this.left.clientWidth }, above = { offset: x, length, extent: this.body.clientWidth, room: this.top.clientHeight };
    this.left.replaceChildren(...this.#names(rows, beside, nameBeside));
    this.top.replaceChildren(...this.#names(columns, above, nameAbove));
  }

  /** #names returns the names of rows or columns on the screen: the first starts at offset, each has a length, and extent is visible. */
  #names(axis, { offset, length, extent, room }, make) {
    const near = this.#near(axis), letters = Math.floor((room - besideName) / letterWidth);
    return axis.bands(length, minLabel).filter(({ from, to }) => offset + to * length > 0 && offset + from * length < extent).map(({ from, to, id, label, monogram, isGroup }) => {
      const visible = (at) => (isGroup ? Math.min(extent, Math.max(0, at)) : at), start = visible(offset + from * length), end = visible(offset + to * length);
      const element = make({ middle: (start + end) / 2, room, name: truncate(label, letters), monogram, className: `axis${isGroup ? " band" : near.has(id) ? " near" : ""}` });
      if (!isGroup) element.dataset.id = id;
      return element;
    });
  }

  /** #near returns the IDs of the selected and pointed nodes of an axis. */
  #near({ nodes }) {
    const ends = [...this.#selected].flatMap((id) => id.split(" "));
    const at = this.#pointed && nodes[nodes === this.#matrix.rows.nodes ? this.#pointed.row : this.#pointed.column];
    return new Set([...ends, at?.id]);
  }

  #hover(at, e) {
    if (at?.row !== this.#pointed?.row || at?.column !== this.#pointed?.column) {
      this.#pointed = at;
      this.#mark();
    }
    this.on.showTooltip("line", at?.line, e);
  }

  #choose(line) { this.on.select(line ? "line" : "", line?.id ?? ""); }

  #key(e) {
    const step = { ArrowRight: [true, false], ArrowLeft: [false, false], ArrowDown: [true, true], ArrowUp: [false, true] }[e.key];
    if (e.ctrlKey || e.altKey || e.metaKey || !(step || e.key === "Enter" || e.key === " ")) return;
    e.preventDefault();
    if (!step) return this.#choose(this.#pointed?.line);
    const cell = this.#matrix.step(this.#pointed, ...step);
    if (!cell) return;
    this.#pointed = cell;
    this.viewport.reveal(placeOf(cell));
    this.#mark();
    this.on.announceLine(cell.line);
  }
}

/** nodeAt returns the ID of the node with the name under the pointer. */
const nodeAt = (e) => e.target.closest("[data-id]")?.dataset.id;

const placeOf = ({ row, column }) => ({ x: column * cellSize, y: row * cellSize, w: cellSize, h: cellSize });

/** states are the states of lines for which cells have a colour, the most important first. */
const states = ["failed", "gone", "new", "stale", "past", "idle"];

/** classOf returns the class of a cell: its state, and about how many connections it stands for. */
function classOf({ line: { flags, links } }) {
  const connections = links.reduce((sum, l) => sum + l.connections, 0);
  return `${states.find((s) => flags.includes(s)) ?? "active"} ${connections > 10 ? "many" : connections > 1 ? "some" : "few"}`;
}

const hollow = ["past", "gone", "stale"], striped = ["failed"];

/** shapeOf returns the form of a cell: a square, a hollow one without current data, and two bars if no connection succeeded. */
function shapeOf({ row, column, line: { flags } }, factor) {
  const side = (cellSize - 2) * factor, x = (column + 0.5) * cellSize - side / 2, y = (row + 0.5) * cellSize - side / 2;
  const rect = (left, top, w, h) => `M${x + left} ${y + top}h${w}v${h}h${-w}z`;
  const has = (names) => names.some((name) => flags.includes(name));
  if (has(striped)) return rect(0, 0, side, side / 3) + rect(0, (side * 2) / 3, side, side / 3);
  return rect(0, 0, side, side) + (has(hollow) ? rect(side / 5, side / 5, (side * 3) / 5, (side * 3) / 5) : "");
}

const square = (monogram, x, y) => (monogram ? svg("rect", { class: `monogram hue-${monogram.hue}`, x, y, width: 9, height: 9, rx: 2 }) : "");

const nameBeside = ({ middle, room, name, monogram, className }) => svg("g", { class: className },
  svg("rect", { class: "reach", y: middle - minLabel / 2, width: room, height: minLabel }), square(monogram, room - 14, middle - 4.5), svg("text", { x: room - 20, y: middle + 4, "text-anchor": "end" }, name));

const nameAbove = ({ middle, room, name, monogram, className }) => svg("g", { class: className },
  svg("rect", { class: "reach", x: middle - minLabel / 2, width: minLabel, height: room }), square(monogram, middle - 4.5, room - 14), svg("text", { transform: `translate(${middle + 4}, ${room - 20}) rotate(-90)` }, name));
