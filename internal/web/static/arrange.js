// The arrangement of a scene: places of nodes and boxes, routes of lines. A new scene is laid out as a whole. A changed one keeps the
// places of its nodes and the routes of its lines where it can.
import { fit } from "./fit.js";
import { extent, isBox, union } from "./lattice.js";
import { insertNodes, moveNode } from "./incremental.js";
import { layouts, maxSpacing } from "./layout.js";
import { routeLines } from "./router.js";
import { succeed } from "./succession.js";

const maxVacated = 200; // places of removed nodes that new nodes may take
const maxSparseness = 3; // growth of the area per node that triggers a new layout

/**
 * arrange returns {places, routes, content, style, density, size, scale, areaPerNode, isNew}. content is that of fit. An item is {id, sizes, wide, boxes,
 * titles, side, predecessors}: sizes from the most detailed to the smallest form of the node, the width of the smallest with the version of its image,
 * boxes and the widths of their titles from the outside, the IDs of the nodes that it replaced. A line is {id, from, to, labelWidths}, as in routeLines.
 * frame is that of fit, minScale the least scale at which its texts are readable. kept is an earlier arrangement with previous, the items as they were
 * placed, and alive, the IDs of all that still exist. If it has moved {id, x, y}, that item moves to the point.
 * In a new arrangement the items of pins, a list of {id, x, y}, stand there or near.
 */
export function arrange({ items, lines, frame, minScale, kept, pins = [] }) {
  const titles = new Map(items.flatMap((item) => item.boxes.map((id, i) => [id, item.titles[i]])));
  return (kept && keep({ items, lines, frame, titles }, kept)) || layOut({ items, lines, frame, minScale, titles, pins });
}

const sized = (items, density) => items.map(({ sizes, ...item }) => ({ ...item, ...sizes[Math.min(density, sizes.length - 1)] }));

const pairsOf = (lines) => lines.filter((l) => l.from !== l.to).map((l) => [l.from, l.to]);

const maxPlans = 6; // layouts to try with the same nodes and spacing
const maxRouted = 8; // layouts to find routes for
const tooSmall = 10_000; // faults of a layout that does not fit with its lines and labels at a readable scale
const maxStates = 2_000_000; // of searches for routes, after which no other layout is tried

/** layOut tries forms of the nodes, spacings and styles until all labels find room at a readable scale. */
function layOut(scene) {
  const { items, lines, frame, minScale } = scene, effort = { states: 0 };
  let best = null, routed = 0;
  for (const plan of plans(items, lines, frame, minScale)) {
    if (plan.scale < minScale && (best || !plan.isSmallest)) continue;
    const tried = withRoutes(plan, scene, effort);
    if (!best || tried.faults < best.faults) best = tried;
    if (tried.scale >= minScale) routed++;
    if (!tried.faults || routed === maxRouted || effort.states > maxStates) break;
  }
  if (best.density > 0 && best.scale >= minScale) best = widen(best, scene, effort);
  return finish(scene.pins.length ? movePinned(best, scene, effort) : best);
}

/** withRoutes adds the routes of lines to a layout, and then knows its scale and faults. */
function withRoutes(plan, { lines, frame, minScale, titles }, effort) {
  const routes = routeLines(plan.size, plan.places, titles, lines, undefined, effort);
  const content = contentOf(plan.places, routes), scale = fit(content, frame).k;
  return { ...plan, scale, routes, content, faults: countFaults(lines, routes) + (scale < minScale ? tooSmall : 0) };
}

const maxWidened = 2; // layouts to try with the same widths

/**
 * widen returns a layout with room for the versions of images, if one is as good as the best layout without; else that one. If not all versions fit, it
 * leaves out those that make a node wider than the widest without.
 */
function widen(best, scene, effort) {
  const { items, lines, frame, minScale } = scene, narrow = sized(items, best.density), widest = Math.max(...narrow.map(({ w }) => w));
  for (const limit of [Infinity, widest]) {
    const form = narrow.map((item) => (item.wide > item.w && item.wide <= limit ? { ...item, w: item.wide } : item));
    if (form.every(({ w }, i) => w === narrow[i].w)) break;
    for (const plan of layouts(form, pairsOf(lines), frame, best.spacing).slice(0, maxWidened)) {
      if (plan.scale < minScale || effort.states > maxStates) break;
      const tried = withRoutes({ ...plan, density: best.density }, scene, effort);
      if (tried.faults <= best.faults) return tried;
    }
  }
  return best;
}

/** movePinned returns a layout with the pinned items at their places, or near. It moves none if a line would lose its route or texts would be too small. */
function movePinned(best, scene, effort) {
  const places = new Map(best.places), { density, style, scale } = best, form = sized(scene.items, density);
  for (const pin of scene.pins) moveNode(form, places, pin, { isAlive: () => true, previous: new Map(), style });
  const moved = withRoutes({ ...best, places, size: extent([...places.values()]) }, scene, effort);
  return moved.routes.size < best.routes.size || moved.scale < Math.min(scale, scene.minScale) ? best : moved;
}

/** plans yields layouts from the most detailed to the smallest form of the nodes. */
function* plans(items, lines, frame, minScale) {
  const pairs = pairsOf(lines), densities = Math.max(1, ...items.map((item) => item.sizes.length));
  for (let density = 0; density < densities; density++) {
    const form = sized(items, density), isSmallest = density === densities - 1;
    for (let spacing = 0; spacing <= maxSpacing; spacing++) {
      const ranked = layouts(form, pairs, frame, spacing);
      for (const plan of ranked.slice(0, maxPlans)) yield { ...plan, density, spacing, isSmallest };
      if (ranked[0].scale < minScale) break; // more room makes it smaller still
    }
  }
}

/** countFaults counts lines without a label, and ten times those without a route. */
const countFaults = (lines, routes) =>
  lines.reduce((sum, { id, labelWidths, isHidden }) => sum + (isHidden ? 0 : !routes.has(id) ? 10 : labelWidths.length && !routes.get(id).label ? 1 : 0), 0);

/**
 * contentOf returns what fit shows: parts, the places of nodes, labels and segments of routes, and bounds, the place around these and the boxes. Places
 * are those that are drawn, by their IDs.
 */
function contentOf(places, routes) {
  const all = [...places], parts = all.filter(([id]) => !isBox(id)).map(([, p]) => p);
  for (const { points, label } of routes.values()) {
    points.slice(1).forEach((b, i) => parts.push(union({ ...points[i], w: 0, h: 0 }, { ...b, w: 0, h: 0 })));
    if (label) parts.push(label);
  }
  return { parts, bounds: [...parts, ...all.map(([, p]) => p)].reduce(union) };
}

function finish({ places, routes, content, style, density, size, scale }) {
  return { places, routes, content, style, density, size, scale, areaPerNode: areaPerNode(places, () => true), isNew: true };
}

/** areaPerNode returns the area of the map for each of its nodes and boxes. */
function areaPerNode(places, isAlive) {
  const alive = [...places].filter(([id]) => isAlive(id)).map(([, p]) => p);
  const { w, h } = extent(alive);
  return (w * h) / Math.max(1, alive.length);
}

/** keep adds a changed scene to an earlier arrangement. It returns null if too much is new. */
function keep({ items, lines, frame, titles }, { places, routes, style, density, areaPerNode: before, previous, alive, moved }) {
  const form = sized(items, density);
  const present = new Set([...items.map((item) => item.id), ...titles.keys()]), isAlive = (id) => present.has(id) || alive.has(id);
  succeed(form, lines, { places, routes, previous }, isAlive);
  if (!form.some((item) => places.has(item.id)) || !insertNodes(form, pairsOf(lines), places, { isAlive, previous, style })) return null;
  if (moved) moveNode(form, places, moved, { isAlive, previous, style });
  if (areaPerNode(places, isAlive) > maxSparseness * before) return null;
  const gone = [...places.keys()].filter((id) => !isAlive(id));
  gone.slice(0, Math.max(0, gone.length - maxVacated)).forEach((id) => places.delete(id));
  const shown = new Map([...present].map((id) => [id, places.get(id)]));
  const size = extent([...shown.values()]), kept = routeLines(size, shown, titles, lines, routes), content = contentOf(shown, kept);
  return { places, routes: kept, content, style, density, size, scale: fit(content, frame).k, areaPerNode: before, isNew: false };
}
