// Curves between places, their labels and the port badges. A line is a cubic Bézier curve {x1,y1, cx1,cy1, cx2,cy2, x2,y2}.
import { overlaps } from "./layout.js";

const arrow = 4; // px between the end of a curve and its server: room for the arrow head
const clearance = 16; // px between two places, above which a curve leaves sideways

/** curve returns a line between two places. It leaves the side that faces the other place, usually the right one. */
export function curve(from, to) {
  const right = from.x + from.w, toRight = to.x + to.w;
  const y1 = from.y + from.h / 2, y2 = to.y + to.h / 2;
  if (from === to) return { x1: right, y1: y1 - 8, cx1: right + 46, cy1: y1 - 30, cx2: right + 46, cy2: y1 + 30, x2: right + arrow, y2: y1 + 8 };
  if (to.x - right > clearance) return sideways(right, y1, to.x - arrow, y2, 1, 0);
  if (from.x - toRight > clearance) return sideways(from.x, y1, toRight + arrow, y2, -1, 7); // below the line of the opposite direction
  const bulge = Math.max(right, toRight) + 34 + Math.min(60, Math.abs(y2 - y1) / 5);
  return { x1: right, y1: y1 + 5, cx1: bulge, cy1: y1, cx2: bulge, cy2: y2, x2: toRight + arrow, y2: y2 - 5 };
}

function sideways(x1, y1, x2, y2, direction, lower) {
  const reach = Math.min(220, Math.max(36, Math.abs(x2 - x1) / 2)) * direction;
  return { x1, y1: y1 + lower, cx1: x1 + reach, cy1: y1 + lower, cx2: x2 - reach, cy2: y2 + lower, x2, y2: y2 + lower };
}

const rounded = (n) => Math.round(n * 10) / 10;

/** toPath returns a curve as SVG path data. */
export const toPath = (c) => `M${rounded(c.x1)} ${rounded(c.y1)}C${[c.cx1, c.cy1, c.cx2, c.cy2, c.x2, c.y2].map(rounded).join(" ")}`;

function pointAt(c, t) {
  const s = 1 - t;
  const mix = (a, b, d, e) => s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * d + t * t * t * e;
  return { x: mix(c.x1, c.cx1, c.cx2, c.x2), y: mix(c.y1, c.cy1, c.cy2, c.y2) };
}

const cellSize = 200; // px of the grid

/** OccupancyGrid finds the taken places near another one. */
class OccupancyGrid {
  cells = new Map();

  *keysOf(p) {
    for (let x = Math.floor(p.x / cellSize); x <= Math.floor((p.x + p.w) / cellSize); x++) {
      for (let y = Math.floor(p.y / cellSize); y <= Math.floor((p.y + p.h) / cellSize); y++) yield `${x} ${y}`;
    }
  }

  add(p) {
    for (const key of this.keysOf(p)) {
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(p);
    }
  }

  overlaps(p) {
    for (const key of this.keysOf(p)) if (this.cells.get(key)?.some((o) => overlaps(p, o, 1))) return true;
    return false;
  }
}

/** labelPositions are the positions to try for a label, as fractions of a curve: the middle first. */
const labelPositions = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82];

/**
 * placeLabels sets the label place `at` of each line, which has a curve and a labelWidth. The place is a point of the curve where the
 * label overlaps neither an obstacle nor another label. Without such a point `at` is undefined, and the label shows on hover.
 */
export function placeLabels(lines, obstacles) {
  const taken = new OccupancyGrid();
  obstacles.forEach((o) => taken.add(o));
  const h = 15;
  for (const line of [...lines].sort((a, b) => b.width - a.width)) {
    line.at = undefined;
    for (const t of labelPositions) {
      const { x, y } = pointAt(line.curve, t);
      const place = { x: x - line.labelWidth / 2, y: y - h / 2, w: line.labelWidth, h };
      if (taken.overlaps(place)) continue;
      line.at = place;
      taken.add(place);
      break;
    }
    line.middle = pointAt(line.curve, 0.5);
  }
}

const portBadgeHeight = 18, badgeInset = 6; // px; the inset is the part of a badge inside its box
const maxBadgeOffset = 400; // px that a badge may be above or below its node

/**
 * placeBadges places port badges at the left walls of their boxes without overlaps. It prefers heights at which the connector
 * reaches the node without passing behind another node. It returns the badges that have a box, with their connectors.
 */
export function placeBadges(badges, nodes, places) {
  const placed = badges.filter((p) => places.has(p.box)).map((p) => ({ ...p, targets: [...p.to].map((id) => places.get(id)).filter(Boolean) })).filter((p) => p.targets.length);
  const middle = (place) => place.y + place.h / 2;
  placed.sort((a, b) => middle(a.targets[0]) - middle(b.targets[0]));
  const taken = new Map();
  for (const badge of placed) {
    const wall = places.get(badge.box), target = badge.targets[0];
    const others = taken.get(badge.box) || [];
    taken.set(badge.box, others);
    const before = nodes.filter((n) => n.x < target.x - 1 && n.x + n.w > wall.x && Math.abs(middle(n) - middle(target)) < maxBadgeOffset && overlaps(n, wall));
    const heights = [middle(target), ...before.flatMap((n) => [n.y - 9, n.y + n.h + 9])].sort((a, b) => Math.abs(a - middle(target)) - Math.abs(b - middle(target)));
    const room = (y) => y > wall.y + portBadgeHeight / 2 && y < wall.y + wall.h - portBadgeHeight / 2 && others.every((o) => Math.abs(o - y) >= portBadgeHeight + 2);
    const y = heights.find((h) => room(h) && !before.some((n) => h > n.y - 3 && h < n.y + n.h + 3)) ?? nearestFree(middle(target), room, wall.h);
    others.push(y);
    badge.place = { x: wall.x - badge.w + badgeInset, y: y - portBadgeHeight / 2, w: badge.w, h: portBadgeHeight };
    badge.connectors = badge.targets.map((to) => connectorPath(wall.x + badgeInset, y, to.x, middle(to)));
  }
  return placed;
}

/** nearestFree returns the free height nearest to y, or y itself if none is free within maxDistance. */
function nearestFree(y, room, maxDistance) {
  for (let d = 0; d < maxDistance; d += portBadgeHeight + 2) for (const h of [y + d, y - d]) if (room(h)) return h;
  return y;
}

/** connectorPath runs horizontally and bends to its node at the end. */
function connectorPath(x1, y1, x2, y2) {
  const bend = Math.max(x1, x2 - 46);
  return `M${rounded(x1)} ${rounded(y1)}H${rounded(bend)}C${[(bend + x2) / 2, y1, (bend + x2) / 2, y2, x2, y2].map(rounded).join(" ")}`;
}
