// How lines run between places, and where their labels are. Lines are cubic curves {x1,y1, cx1,cy1, cx2,cy2, x2,y2}.
import { meets } from "./layout.js";

const arrow = 4; // the curve ends so far before its server, where the tip is
const clearance = 16;

/** curve leads from the side of a place that faces the other one: from left to right as a rule. */
export function curve(from, to) {
  const right = from.x + from.w, toRight = to.x + to.w;
  const y1 = from.y + from.h / 2, y2 = to.y + to.h / 2;
  if (from === to) return { x1: right, y1: y1 - 8, cx1: right + 46, cy1: y1 - 30, cx2: right + 46, cy2: y1 + 30, x2: right + arrow, y2: y1 + 8 };
  if (to.x - right > clearance) return sideways(right, y1, to.x - arrow, y2, 1, 0);
  if (from.x - toRight > clearance) return sideways(from.x, y1, toRight + arrow, y2, -1, 7); // beside the line of the other direction
  const bulge = Math.max(right, toRight) + 34 + Math.min(60, Math.abs(y2 - y1) / 5);
  return { x1: right, y1: y1 + 5, cx1: bulge, cy1: y1, cx2: bulge, cy2: y2, x2: toRight + arrow, y2: y2 - 5 };
}

function sideways(x1, y1, x2, y2, direction, lower) {
  const reach = Math.min(220, Math.max(36, Math.abs(x2 - x1) / 2)) * direction;
  return { x1, y1: y1 + lower, cx1: x1 + reach, cy1: y1 + lower, cx2: x2 - reach, cy2: y2 + lower, x2, y2: y2 + lower };
}

const rounded = (n) => Math.round(n * 10) / 10;

/** pathOf writes a curve as SVG does. */
export const pathOf = (c) => `M${rounded(c.x1)} ${rounded(c.y1)}C${[c.cx1, c.cy1, c.cx2, c.cy2, c.x2, c.y2].map(rounded).join(" ")}`;

function pointAt(c, t) {
  const s = 1 - t;
  const mix = (a, b, d, e) => s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * d + t * t * t * e;
  return { x: mix(c.x1, c.cx1, c.cx2, c.x2), y: mix(c.y1, c.cy1, c.cy2, c.y2) };
}

const cell = 200; // of the grid by which neighbours are found

/** Taken keeps which places are taken, and finds those near another one. */
class Taken {
  cells = new Map();

  *cellsOf(p) {
    for (let x = Math.floor(p.x / cell); x <= Math.floor((p.x + p.w) / cell); x++) {
      for (let y = Math.floor(p.y / cell); y <= Math.floor((p.y + p.h) / cell); y++) yield `${x} ${y}`;
    }
  }

  add(p) {
    for (const key of this.cellsOf(p)) {
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(p);
    }
  }

  meets(p) {
    for (const key of this.cellsOf(p)) if (this.cells.get(key)?.some((o) => meets(p, o, 1))) return true;
    return false;
  }
}

const along = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

/**
 * labelled gives each line, which has a curve and a labelWidth, the place of its label: along the curve where it covers no
 * node and no other label. Where there is none the label is undefined, and shows when the line is pointed at.
 */
export function labelled(lines, obstacles) {
  const taken = new Taken();
  obstacles.forEach((o) => taken.add(o));
  const h = 15;
  for (const line of [...lines].sort((a, b) => b.width - a.width)) {
    line.at = undefined;
    for (const t of along) {
      const { x, y } = pointAt(line.curve, t);
      const place = { x: x - line.labelWidth / 2, y: y - h / 2, w: line.labelWidth, h };
      if (taken.meets(place)) continue;
      line.at = place;
      taken.add(place);
      break;
    }
    line.middle = pointAt(line.curve, 0.5);
  }
}

const plateHeight = 18, inWall = 6; // so much of a plate is within its box
const near = 400; // no farther up or down a place for a plate is looked for

/**
 * hang places plates at the left walls of their boxes, none over another, each where a wire reaches what it leads to without
 * going behind a node if there is such a place. It returns those that hang, with their wires.
 */
export function hang(plates, nodes, places) {
  const hung = plates.filter((p) => places.has(p.box)).map((p) => ({ ...p, leads: [...p.to].map((id) => places.get(id)).filter(Boolean) })).filter((p) => p.leads.length);
  const middle = (place) => place.y + place.h / 2;
  hung.sort((a, b) => middle(a.leads[0]) - middle(b.leads[0]));
  const taken = new Map();
  for (const plate of hung) {
    const wall = places.get(plate.box), lead = plate.leads[0];
    const others = taken.get(plate.box) || [];
    taken.set(plate.box, others);
    const before = nodes.filter((n) => n.x < lead.x - 1 && n.x + n.w > wall.x && Math.abs(middle(n) - middle(lead)) < near && meets(n, wall));
    const heights = [middle(lead), ...before.flatMap((n) => [n.y - 9, n.y + n.h + 9])].sort((a, b) => Math.abs(a - middle(lead)) - Math.abs(b - middle(lead)));
    const room = (y) => y > wall.y + plateHeight / 2 && y < wall.y + wall.h - plateHeight / 2 && others.every((o) => Math.abs(o - y) >= plateHeight + 2);
    const y = heights.find((h) => room(h) && !before.some((n) => h > n.y - 3 && h < n.y + n.h + 3)) ?? nextRoom(middle(lead), room, wall.h);
    others.push(y);
    plate.place = { x: wall.x - plate.w + inWall, y: y - plateHeight / 2, w: plate.w, h: plateHeight };
    plate.wires = plate.leads.map((to) => wirePath(wall.x + inWall, y, to.x, middle(to)));
  }
  return hung;
}

/** nextRoom is the height nearest to another at which there is room; that height itself if there is none. */
function nextRoom(y, room, most) {
  for (let d = 0; d < most; d += plateHeight + 2) for (const h of [y + d, y - d]) if (room(h)) return h;
  return y;
}

/** wirePath leads straight along its height, and in the end to what it is for. */
function wirePath(x1, y1, x2, y2) {
  const bend = Math.max(x1, x2 - 46);
  return `M${rounded(x1)} ${rounded(y1)}H${rounded(bend)}C${[(bend + x2) / 2, y1, (bend + x2) / 2, y2, x2, y2].map(rounded).join(" ")}`;
}
