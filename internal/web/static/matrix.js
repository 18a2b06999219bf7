// The order of the matrix: a row for each caller, a column for each called node, and a cell for each pair with links.
import { compareNatural, displayName } from "./format.js";

/** cellSize is the side of a cell in px at scale 1. */
export const cellSize = 16;

const emptyLast = (a, b) => (a === b ? 0 : !a ? 1 : !b ? -1 : compareNatural(a, b));

/** byGroup orders nodes by host, project and name. External addresses come last. */
const byGroup = ({ node: a }, { node: b }) => emptyLast(a.host, b.host) || emptyLast(a.project, b.project) || compareNatural(displayName(a), displayName(b));

/** placeOf returns the host of a node, or what stands for it. */
const placeOf = ({ kind, host }) => host || (["project", "service", "image"].includes(kind) ? "several hosts" : "external");

/** levels are the ways to label an axis, from the finest to the coarsest: containers, projects and hosts. The qualifiers of a band tell it from others of its name. */
const levels = [
  { keyOf: ({ id }) => id, nameOf: displayName, titleOf: () => "", qualifiersOf: ({ project, host }) => ({ project, host }), isGroup: false },
  { keyOf: ({ node }) => JSON.stringify([node.host, node.project]), nameOf: (node) => node.project || placeOf(node), titleOf: ({ project }) => project || "", qualifiersOf: ({ host }) => ({ host }), isGroup: true },
  { keyOf: ({ node }) => node.host, nameOf: placeOf, titleOf: placeOf, qualifiersOf: () => ({}), isGroup: true, hasMonogram: false },
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

  /** levelAt returns the level of the labels if a node has a length in px: nodes if at least half of them have the length of a label, else projects, else hosts. */
  levelAt(length, minLength) {
    const level = this.medians.findIndex((size) => size * length >= minLength);
    return level < 0 ? levels.length - 1 : level;
  }
}

/** describe returns a band: a run of neighbours with the names of the first of them at a level. */
const describe = ({ key, from, to }, { id, node, monogram }, { nameOf, titleOf, qualifiersOf, isGroup, hasMonogram = true }) => (
  { key, from, to, id, name: nameOf(node), title: titleOf(node), qualifiers: qualifiersOf(node), monogram: hasMonogram ? monogram : null, isGroup });

/** distinguish gives each band the names of the qualifiers without which another band has the same label: its project if that is enough, else its host. */
function distinguish(bands) {
  for (const alike of Map.groupBy(bands, ({ name }) => name).values()) {
    const keys = ["project", "host"].map((field) => [field, Map.groupBy(alike, ({ name, qualifiers }) => (qualifiers[field] !== name && qualifiers[field]) || "")]);
    const count = new Set(alike.map(({ key }) => key)).size;
    const enough = keys.find(([, byValue]) => !byValue.has("") && byValue.size === count)?.[0];
    for (const band of alike) {
      const isUnique = ([field, byValue]) => band.qualifiers[field] && new Set(byValue.get(band.qualifiers[field])?.map(({ key }) => key)).size === 1;
      if (count === 1) band.distinct = [];
      else band.distinct = enough ? [enough] : isUnique(keys[0]) ? ["project"] : ["project", "host"];
    }
  }
}

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

/** Matrix has the axes of a scene, its cells {row, column, line}, and titled: whether the bands of a level need titles beside finer labels. */
export class Matrix {
  #byPlace = new Map();

  constructor({ nodes, lines }) {
    const callers = new Set(lines.map((l) => l.from)), called = new Set(lines.map((l) => l.to)), sorted = nodes.toSorted(byGroup);
    this.rows = new Axis(sorted.filter((n) => callers.has(n.id)));
    this.columns = new Axis(sorted.filter((n) => called.has(n.id)));
    levels.forEach((_, i) => distinguish([...this.rows.levels[i], ...this.columns.levels[i]]));
    const shown = sorted.filter((n) => callers.has(n.id) || called.has(n.id)).map((n) => n.node);
    this.titled = [false, new Set(shown.map((n) => n.project !== n.name && n.project).filter(Boolean)).size > 1, new Set(shown.map((n) => n.kind !== "host" && n.host).filter(Boolean)).size > 1];
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
