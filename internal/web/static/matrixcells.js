// The cells of the matrix: their shapes, and the numbers in them.
import { formatRate } from "./activity.js";
import { formatNumber } from "./format.js";
import { cellSize } from "./matrix.js";
import { widthOf } from "./matrixlabels.js";
import { svg } from "./svg.js";

const cellGap = 2; // px between cells at scale 1
const numberSize = 11; // px of a number on the screen
const minExact = 10_000; // connections from which on a number is rounded
const rounded = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 0 });

/** states are the states of lines for which cells have a colour, the most important first. */
const states = ["failed", "gone", "new", "stale", "past", "idle"];

const sum = (links, field) => links.reduce((total, l) => total + (l[field] || 0), 0);

/** classOf returns the class of a cell: its state, and about how many connections it stands for. */
export function classOf({ line: { flags, links } }) {
  const connections = sum(links, "connections");
  return `${states.find((s) => flags.includes(s)) ?? "active"} ${connections > 10 ? "many" : connections > 1 ? "some" : "few"}`;
}

const isHollow = ({ line: { flags } }) => ["past", "gone", "stale"].some((name) => flags.includes(name));
const isStriped = ({ line: { flags } }) => flags.includes("failed");

/** shapeOf returns the form of a cell: a square, a hollow one without current data, and two bars if no connection succeeded. */
export function shapeOf(cell, factor) {
  const side = (cellSize - cellGap) * factor, x = (cell.column + 0.5) * cellSize - side / 2, y = (cell.row + 0.5) * cellSize - side / 2;
  const rect = (left, top, w, h) => `M${x + left} ${y + top}h${w}v${h}h${-w}z`;
  if (isStriped(cell)) return rect(0, 0, side, side / 3) + rect(0, (side * 2) / 3, side, side / 3);
  return rect(0, 0, side, side) + (isHollow(cell) ? rect(side / 5, side / 5, (side * 3) / 5, (side * 3) / 5) : "");
}

/** numberOf returns the connections of a cell, or how many ended within the last minute if none is open; empty if both are unknown or none. */
function numberOf({ line: { links } }) {
  const connections = sum(links, "connections"), closed = sum(links, "closed");
  if (connections >= minExact) return rounded.format(connections);
  return connections ? formatNumber(connections) : closed ? formatRate(closed) : "";
}

/** roomOf returns the width and height in px of the part of a cell that has one colour, for a side in px. */
function roomOf(cell, side) {
  if (isStriped(cell)) return [side, side / 3];
  return isHollow(cell) ? [side * 0.6, side * 0.6] : [side, side];
}

/** hasNumbers reports whether cells have room for a number at a scale. */
export const hasNumbers = (scale) => (cellSize - cellGap) * scale >= numberSize;

/** numbersOf returns the elements of the numbers that fit into cells at a scale. */
export function numbersOf(cells, scale) {
  const side = (cellSize - cellGap) * scale;
  return cells.flatMap((cell) => {
    const number = numberOf(cell), [w, h] = roomOf(cell, side);
    if (!number || widthOf(number, `${numberSize}px `) > w || numberSize > h) return [];
    const name = isStriped(cell) || isHollow(cell) ? "open" : classOf(cell);
    return [svg("text", { class: name, x: (cell.column + 0.5) * cellSize, y: (cell.row + 0.5) * cellSize + (0.36 * numberSize) / scale }, number)];
  });
}

/** fontSizeAt returns the size of numbers in px at scale 1. */
export const fontSizeAt = (scale) => numberSize / scale;
