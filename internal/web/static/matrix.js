// The order of the matrix: a row for each caller, a column for each called node, and a cell for each pair with links.
import { compareNatural, displayName } from "./format.js";

/** cellSize is the side of a cell in px at scale 1. */
export const cellSize = 16;

const emptyLast = (a, b) => (a === b ? 0 : !a ? 1 : !b ? -1 : compareNatural(a, b));

/** byGroup orders nodes by host, project and name. External addresses come last. */
const byGroup = ({ node: a }, { node: b }) => emptyLast(a.host, b.host) || emptyLast(a.project, b.project) || compareNatural(displayName(a), displayName(b));

/** levels are the ways to label an axis, from the finest to the coarsest. */
const levels = [
  { keyOf: ({ id }) => id, labelOf: displayName, isGroup: false },
  { keyOf: ({ node }) => JSON.stringify([node.host, node.project]), labelOf: ({ host, project }) => project || host || "external", isGroup: true },
  { keyOf: ({ node }) => node.host, labelOf: ({ host }) => host || "external", isGroup: true, hasMonogram: false },
];

/** Axis is the order of the rows, or of the columns. */
class Axis {
  constructor(nodes) {
    this.nodes = nodes;
    this.indices = new Map(nodes.map((n, i) => [n.id, i]));
    this.levels = levels.map((level) => runs(nodes, level.keyOf).map((run) => describe(run, nodes[run.from], level)));
    this.medians = this.levels.map((bands) => median(bands.map(({ from, to }) => to - from)));
  }

  get length() { return this.nodes.length; }

  /** starts are the indices at which another project or host begins. */
  get starts() { return this.levels[1].slice(1).map(({ from }) => from); }

  /**
   * bands returns the labelled ranges {from, to, id, label, monogram, isGroup} if a node has a length in px: the nodes if at least half of them have the
   * length of a label, else projects, else hosts. Ranges without room for a label are missing.
   */
  bands(length, minLength) {
    const level = this.medians.findIndex((size) => size * length >= minLength);
    return this.levels.at(level).filter(({ from, to }) => (to - from) * length >= minLength);
  }
}

/** describe returns a band: a run of neighbours, labelled as the first of them at a level. */
const describe = ({ from, to }, { id, node, monogram }, { labelOf, isGroup, hasMonogram = true }) => ({ from, to, id, label: labelOf(node), monogram: hasMonogram ? monogram : null, isGroup });

/** runs returns the ranges of neighbours with the same key. */
function runs(nodes, keyOf) {
  const all = [];
  nodes.forEach((n, i) => {
    const key = keyOf(n), last = all.at(-1);
    if (last?.key === key) last.to = i + 1;
    else all.push({ key, from: i, to: i + 1 });
  });
  return all;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

/** Matrix has the axes of a scene, and its cells {row, column, line}. */
export class Matrix {
  #byPlace = new Map();

  constructor({ nodes, lines }) {
    const callers = new Set(lines.map((l) => l.from)), called = new Set(lines.map((l) => l.to)), sorted = nodes.toSorted(byGroup);
    this.rows = new Axis(sorted.filter((n) => callers.has(n.id)));
    this.columns = new Axis(sorted.filter((n) => called.has(n.id)));
    this.cells = lines.map((line) => ({ row: this.rows.indices.get(line.from), column: this.columns.indices.get(line.to), line }));
    for (const cell of this.cells) this.#byPlace.set(this.#place(cell), cell);
  }

  #place({ row, column }) { return row * this.columns.length + column; }

  /** size is the size of all cells in px at scale 1. */
  get size() { return { w: Math.max(1, this.columns.length) * cellSize, h: Math.max(1, this.rows.length) * cellSize }; }

  /** at returns the row, the column and the line, if there is one, at a point; null outside of the matrix. */
  at({ x, y }) {
    const row = Math.floor(y / cellSize), column = Math.floor(x / cellSize);
    if (!this.rows.nodes[row] || !this.columns.nodes[column]) return null;
    return { row, column, line: this.#byPlace.get(this.#place({ row, column }))?.line };
  }

  /** find returns the cell of a line, or the first cell of a node. */
  find(id) { return this.cells.find((c) => c.line.id === id) ?? this.cells.find((c) => c.line.to === id) ?? this.cells.find((c) => c.line.from === id); }

  /** step returns the cell after or before another one, by rows or by columns; the first or last one if from is null. */
  step(from, isForward, isVertical) {
    const sign = isForward ? 1 : -1;
    const rank = ({ row, column }) => sign * (isVertical ? column * this.rows.length + row : row * this.columns.length + column);
    const beyond = this.cells.filter((c) => !from || rank(c) > rank(from));
    return beyond.length ? beyond.reduce((best, c) => (rank(c) < rank(best) ? c : best)) : null;
  }
}
