// The matrix on the page: the names of callers at the left, those of called nodes above, and the cells, which zoom and pan.
import { html, setText } from "./html.js";
import { formatCount } from "./format.js";
import { cellSize, Matrix } from "./matrix.js";
import { classOf, fontSizeAt, hasNumbers, numbersOf, shapeOf } from "./matrixcells.js";
import { joinLabel, shortenAll, widthOf } from "./matrixlabels.js";
import { svg } from "./svg.js";
import { Viewport } from "./viewport.js";

const minLabel = 14; // px of a row or column with room for its name
const besideName = 26; // px for the monogram and the gaps beside it
const stripWidth = 18; // px of the titles of hosts, or of projects
const titleMargin = 4; // px
const titleScale = 11 / 12; // of the letters of titles to those of labels
const minTitle = 30; // px of a title that the edge of the frame shortens
const minRoom = { left: 164, top: 100 }; // px: the corner has the buttons and its text
const maxRoom = { left: 280, top: 240 }; // px for all names on the screen
const legibleScale = 1; // of a cell that is shown to the user
const minSide = 3; // px of a cell on the screen
const margin = 0.25; // of the screen, around which cells have numbers too
const settleDelay = 100; // ms without a move until numbers are drawn
const maxSaved = 400; // px for the names in a saved picture
const paper = { w: 690, h: 880 }; // px: A4 and Letter have room for them at full size
const maxOnPaper = 2 * cellSize; // px of a cell

export class MatrixDrawing {
  #matrix = new Matrix({ nodes: [], lines: [] });
  #nodes = new Map();
  #selected = new Set();
  #pointed = null; // the row, column and line under the pointer or the cursor
  #enlarged = 1; // the factor by which the drawn cells are larger than their places
  #stripes = svg("g", { class: "stripes" });
  #crossing = svg("g");
  #numbers = svg("g", { class: "numbers" });
  #numbered = null; // the part of the matrix with numbers, {left, top, right, bottom} in cells, and its scale
  #settling = 0;
  #labels = new Map(); // of each axis, as drawn last
  #paper = null; // the drawing on paper

  /** on is that of MapDrawing, with announceLine(line). */
  constructor(frame, on) {
    this.on = on;
    this.svg = svg("svg", { class: "drawing-root" });
    this.body = html("div", { className: "matrix-body", tabIndex: 0, role: "group",
      "aria-label": "Matrix of callers and called nodes; the table has the same content. Arrow keys move between cells, Enter selects, plus and minus zoom." }, this.svg);
    this.frame = frame;
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
    const isPrint = matchMedia("print");
    isPrint.addEventListener("change", () => this.#print(isPrint.matches));
    addEventListener("beforeprint", () => this.#print(true));
    addEventListener("afterprint", () => this.#print(false));
  }

  #at(e) { return this.#matrix.at(this.viewport.locate(e)); }

  /** draw draws a scene. look is the initial position and scale; if it is empty, all of a new matrix is shown. */
  draw(scene, isNew, look) {
    this.#matrix = new Matrix(scene);
    this.#nodes = scene.byID;
    this.#pointed = null;
    this.#labels.clear();
    this.#makeRoom();
    this.viewport.resize(this.#matrix.size);
    if (look) this.viewport.look = look;
    else if (isNew) this.viewport.fit();
    this.#drawCells();
    this.#drawNumbers();
    this.#mark();
    setText(this.corner, this.#axisTexts.join(" "));
  }

  get #axisTexts() { return [`${formatCount(this.#matrix.rows.length, "caller")} ↓`, `calling ${formatCount(this.#matrix.columns.length, "node")} →`]; }

  /** #makeRoom gives the names the room that they need, if the frame has it. */
  #makeRoom() {
    const { rows, columns } = this.#matrix;
    const left = Math.min(maxRoom.left, this.#roomFor(rows, 0)), top = Math.min(maxRoom.top, this.#roomFor(columns, 0));
    this.frame.style.gridTemplate = `clamp(${minRoom.top}px, 33%, ${top}px) minmax(0, 1fr) / clamp(${minRoom.left}px, 40%, ${left}px) minmax(0, 1fr)`;
  }

  /** #roomFor returns the px for the labels of a level of an axis at the least length of a node, and for the titles beside them. */
  #roomFor(axis, level) {
    const labels = fullLabels(axis, level, this.#untitled(axis, level, minLabel)).map((label) => widthOf(joinLabel(label)));
    return Math.ceil(labels.reduce((a, b) => Math.max(a, b), 0)) + besideName + stripWidth * this.#titleLevels(level).length;
  }

  /** #titleLevels returns the levels with titles beside the labels of a level, hosts first. */
  #titleLevels(level) { return [2, 1].filter((l) => l > level && this.#matrix.titled[l]); }

  get hidden() { return { labels: 0, lines: 0 }; }

  focus() { this.body.focus({ preventScroll: true }); }

  /** select marks the rows and columns of nodes and lines. */
  select(ids, group = "") {
    this.#selected = new Set(group ? [...ids, group] : ids);
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
    const { rows, columns } = this.#matrix;
    return use(this.#picture(cellSize, { left: Math.min(maxSaved, this.#roomFor(rows, 0)), top: Math.min(maxSaved, this.#roomFor(columns, 0)) }));
  }

  /** #picture returns a drawing of the whole matrix. A cell has a length in px, and room is that of the names. */
  #picture(length, { left, top }) {
    const { rows, columns, cells, size } = this.#matrix, scale = length / cellSize, all = { offset: 0, length, extent: Infinity };
    const width = Math.ceil(left + size.w * scale), height = Math.ceil(top + size.h * scale);
    return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}` },
      ...this.#axisTexts.map((text, i) => svg("text", { class: "corner", x: 4, y: top - 24 + 15 * i }, text)),
      svg("g", { transform: `translate(${left}, 0)` }, ...this.#names(columns, { ...all, room: top }, above)),
      svg("g", { transform: `translate(0, ${top})` }, ...this.#names(rows, { ...all, room: left }, beside)),
      svg("g", { transform: `translate(${left}, ${top}) scale(${scale})` }, ...this.#ground(), ...this.#cells(enlargementAt(scale)),
        svg("g", { class: "numbers", "font-size": fontSizeAt(scale) }, ...(hasNumbers(scale) ? numbersOf(cells, scale) : []))));
  }

  /** #print shows the whole matrix on paper in place of the part on the screen. */
  #print(isPrint) {
    this.#paper?.remove();
    this.#paper = null;
    if (!isPrint || this.frame.hidden) return;
    const { rows, columns } = this.#matrix, fit = (axis, px) => Math.min(maxOnPaper, px / Math.max(1, axis.length));
    const length = Math.min(fit(rows, paper.h - 100), fit(columns, paper.w - 100));
    const roomOf = (axis, max) => Math.max(60, Math.min(max, this.#roomFor(axis, axis.levelAt(length, minLabel))));
    const room = { left: roomOf(rows, maxRoom.left), top: roomOf(columns, maxRoom.top) };
    this.#paper = this.#picture(Math.min(fit(rows, paper.h - room.top), fit(columns, paper.w - room.left)), room);
    this.#paper.setAttribute("class", "drawing-root matrix-paper");
    this.#labels.clear();
    this.frame.append(this.#paper);
  }

  #moved() {
    if (this.#enlarged !== enlargementAt(this.viewport.scale)) this.#drawCells();
    this.#drawNames();
    if (this.#numbered && this.viewport.scale < this.#numbered.scale) this.#clearNumbers();
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#drawNumbers(), settleDelay);
  }

  #drawCells() {
    this.#enlarged = enlargementAt(this.viewport.scale);
    this.svg.replaceChildren(...this.#ground(), this.#stripes, ...this.#cells(this.#enlarged), this.#crossing, this.#numbers);
    this.#clearNumbers();
  }

  /** #ground returns the ground and the lines between groups. */
  #ground() {
    const { rows, columns, size } = this.#matrix;
    const walls = [...rows.starts.map((i) => `M0 ${i * cellSize}h${size.w}`), ...columns.starts.map((i) => `M${i * cellSize} 0v${size.h}`)];
    return [svg("rect", { class: "cells-ground", width: size.w, height: size.h }), svg("path", { class: "walls", d: walls.join("") })];
  }

  /** #cells returns one path for all cells of the same class. */
  #cells(factor) {
    return [...Map.groupBy(this.#matrix.cells, classOf)].map(([name, alike]) => svg("path", { class: `cell ${name}`, d: alike.map((c) => shapeOf(c, factor)).join("") }));
  }

  #clearNumbers() {
    this.#numbered = null;
    this.#numbers.replaceChildren();
  }

  /** #drawNumbers draws the numbers of the cells on the screen, and of those near it, which panning meets first. */
  #drawNumbers() {
    const { x, y, k } = this.viewport.transform, { clientWidth: w, clientHeight: h } = this.body, length = cellSize * k, before = this.#numbered;
    if (!hasNumbers(k)) return before && this.#clearNumbers();
    const part = { left: -x / length, top: -y / length, right: (w - x) / length, bottom: (h - y) / length };
    if (before?.scale === k && before.left <= part.left && before.top <= part.top && before.right >= part.right && before.bottom >= part.bottom) return;
    const across = (w / length) * margin, down = (h / length) * margin;
    const { left, top, right, bottom } = this.#numbered = { scale: k, left: part.left - across, top: part.top - down, right: part.right + across, bottom: part.bottom + down };
    this.#numbers.setAttribute("font-size", fontSizeAt(k));
    this.#numbers.replaceChildren(...numbersOf(this.#matrix.cells.filter((c) => c.column + 1 > left && c.column < right && c.row + 1 > top && c.row < bottom), k));
  }

  /** #mark draws the rows and columns of what is selected, and of what is under the pointer. */
  #mark() {
    const { rows, columns, size, cells } = this.#matrix, marks = [], crossings = [];
    const add = (kind, row, column) => {
      if (row !== undefined) marks.push(svg("rect", { class: `stripe ${kind}`, x: 0, y: row * cellSize, width: size.w, height: cellSize }));
      if (column !== undefined) marks.push(svg("rect", { class: `stripe ${kind}`, x: column * cellSize, y: 0, width: cellSize, height: size.h }));
      if (row !== undefined && column !== undefined) crossings.push(svg("rect", { class: "crossing", x: column * cellSize, y: row * cellSize, width: cellSize, height: cellSize }));
    };
    for (const id of this.#selected) {
      const cell = cells.find((c) => c.line.id === id);
      add("selected", cell ? cell.row : rows.indices.get(id), cell ? cell.column : columns.indices.get(id));
    }
    if (this.#pointed) add("hot", this.#pointed.row, this.#pointed.column);
    this.#stripes.replaceChildren(...marks);
    this.#crossing.replaceChildren(...crossings);
    this.#drawNames();
  }

  #drawNames() {
    const { rows, columns } = this.#matrix, { x, y, k } = this.viewport.transform, length = cellSize * k;
    this.left.replaceChildren(...this.#names(rows, { offset: y, length, extent: this.body.clientHeight, room: this.left.clientWidth }, beside));
    this.top.replaceChildren(...this.#names(columns, { offset: x, length, extent: this.body.clientWidth, room: this.top.clientHeight }, above));
  }

  /** #names returns the titles and names of rows or columns on the screen: the first starts at offset, each has a length, and extent is visible. */
  #names(axis, { offset, length, extent, room }, side) {
    const near = this.#near(axis), level = axis.levelAt(length, minLabel), labels = this.#labelsOf(axis, level, length, room);
    const clip = (at) => Math.min(extent, Math.max(0, at)), rangeOf = ({ from, to }) => [offset + from * length, offset + to * length];
    const isVisible = ([start, end]) => end > 0 && start < extent;
    const names = axis.levels[level].flatMap((band, i) => {
      const { from, to, id, monogram, isGroup } = band, range = rangeOf(band), [start, end] = isGroup ? range.map(clip) : range, middle = (start + end) / 2;
      if (!isVisible(range) || (to - from) * length < minLabel || middle < minLabel / 2 - 1 || middle > extent - minLabel / 2 + 1) return [];
      const element = side.name({ middle, room, label: labels[i], monogram, className: `axis${isGroup ? " band" : near.has(id) ? " near" : ""}` });
      if (!isGroup) element.dataset.id = id;
      return [element];
    });
    return [...this.#titleLevels(level).flatMap((l, strip) => axis.levels[l].filter((band) => band.title && isVisible(rangeOf(band)) && !(level && axis.levels[level].some((b) => b.key !== band.key && b.from === band.from && b.name === band.title))).map((band) => {
      const [start, end] = rangeOf(band).map(clip);
      return side.title({ start, end, strip, text: fitsWhole(band, length) ? fitTitle(band.title, end - start) : "" });
    })), ...names];
  }

  /** #labelsOf returns the labels of a level as they fit into the room. */
  #labelsOf(axis, level, length, room) {
    const untitled = this.#untitled(axis, level, length), last = this.#labels.get(axis);
    const key = JSON.stringify([level, room, untitled.map(([, bands]) => bands.map(({ from }) => from))]);
    if (last?.key === key) return last.labels;
    const labels = shortenAll(fullLabels(axis, level, untitled), room - besideName - stripWidth * untitled.length);
    this.#labels.set(axis, { key, labels });
    return labels;
  }

  /** #untitled returns the names of the qualifiers that have titles beside the labels of a level, and of each the bands without room for their title. */
  #untitled(axis, level, length) {
    return this.#titleLevels(level).map((l) => [l === 1 ? "project" : "host", axis.levels[l].filter((band) => !fitsWhole(band, length))]);
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

/** enlargementAt returns the factor that gives each cell minSide on the screen. It is a power of two: few zoom steps draw them again. */
const enlargementAt = (scale) => 2 ** Math.ceil(Math.log2(Math.max(1, minSide / (cellSize * scale))));

/** quietOf returns the qualifiers of a band with some names, the project first. */
const quietOf = ({ qualifiers }, fields) => ["project", "host"].filter((field) => fields.includes(field) && qualifiers[field]).map((field) => qualifiers[field]);

/** fullLabels returns the labels {name, quiet} of a level: with what distinguishes them, and with their project and host if no title has room for it. */
function fullLabels(axis, level, untitled) {
  const starts = untitled.map(([field, bands]) => [field, new Set(bands.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)))]);
  return axis.levels[level].map((band) => {
    const missing = starts.filter(([field, nodes]) => nodes.has(band.from) && !band.name.includes(band.qualifiers[field])).map(([field]) => field);
    return { name: band.name, quiet: quietOf(band, [...band.distinct, ...missing]).map((text) => ` · ${text}`).join("") };
  });
}

/** fitsWhole reports whether a title fits beside its band. */
const fitsWhole = ({ title, from, to }, length) => widthOf(title) * titleScale + titleMargin <= (to - from) * length;

/** fitTitle returns the title of a band with a visible length in px. */
function fitTitle(title, length) {
  if (length < minTitle) return "";
  return shortenAll([{ name: title, quiet: "" }], (length - titleMargin) / titleScale)[0].name;
}

const square = (monogram, x, y) => (monogram ? svg("rect", { class: `monogram hue-${monogram.hue}`, x, y, width: 9, height: 9, rx: 2 }) : "");

const textOf = ({ name, quiet }, attributes) => svg("text", attributes, name, quiet && svg("tspan", { class: "quiet" }, quiet));

/** beside draws the names and titles of rows. */
const beside = {
  name: ({ middle, room, label, monogram, className }) => svg("g", { class: className },
    svg("rect", { class: "reach", y: middle - minLabel / 2, width: room, height: minLabel }), square(monogram, room - 14, middle - 4.5), textOf(label, { x: room - 20, y: middle + 4, "text-anchor": "end" })),
  title: ({ start, end, strip, text }) => svg("g", { class: "title" },
    svg("rect", { x: strip * stripWidth + 1, y: start + 0.5, width: stripWidth - 3, height: Math.max(0, end - start - 1) }),
    text && svg("text", { transform: `translate(${strip * stripWidth + 12.5}, ${(start + end) / 2}) rotate(-90)` }, text)),
};

/** above draws the names and titles of columns. */
const above = {
  name: ({ middle, room, label, monogram, className }) => svg("g", { class: className },
    svg("rect", { class: "reach", x: middle - minLabel / 2, width: minLabel, height: room }), square(monogram, middle - 4.5, room - 14), textOf(label, { transform: `translate(${middle + 4}, ${room - 20}) rotate(-90)` })),
  title: ({ start, end, strip, text }) => svg("g", { class: "title" },
    svg("rect", { x: start + 0.5, y: strip * stripWidth + 1, width: Math.max(0, end - start - 1), height: stripWidth - 3 }),
    text && svg("text", { x: (start + end) / 2, y: strip * stripWidth + 12.5 }, text)),
};
