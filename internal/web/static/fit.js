// Fitting a drawing into its frame: all of it is in view, and nothing of it lies behind the controls in the lower left corner.

/** space is the least distance in px of a drawing that fits from its frame and from the controls. */
export const space = 8;

const tolerance = 0.5; // px

/**
 * fit returns the largest position of a drawing in a frame {w, h, corner}: the place of its origin {x, y} in px, and the scale k. corner is the size
 * {w, h} that the controls take. The drawing has bounds, and parts that avoid the controls. It stands in the middle if it can.
 */
export function fit({ parts, bounds }, frame, maxScale = Infinity) {
  const { w, h, corner } = frame, right = bounds.x + bounds.w;
  let k = Math.min(maxScale, (w - 2 * space) / bounds.w, (h - 2 * space) / bounds.h);
  for (const p of parts) k = Math.min(k, Math.max((w - space - corner.w) / (right - p.x), (h - space - corner.h) / (p.y + p.h - bounds.y)));
  const free = { x: (w - bounds.w * k) / 2 - space, y: (h - bounds.h * k) / 2 - space };
  const at = (dx, dy) => ({ x: space + free.x * (1 + dx) - bounds.x * k, y: space + free.y * (1 - dy) - bounds.y * k, k });
  const steps = [0, 0.25, 0.5, 0.75, 1].flatMap((t) => [at(0, t), at(t, 0), at(t, t)]);
  return steps.find((position) => isInView({ parts, bounds }, frame, position)) ?? at(1, 1);
}

/** isInView reports whether a drawing at a position is in view as a whole. */
export function isInView({ parts, bounds }, { w, h, corner }, { x, y, k }) {
  const left = x + bounds.x * k + tolerance, top = y + bounds.y * k + tolerance, size = 2 * tolerance;
  return left > 0 && top > 0 && left + bounds.w * k < w + size && top + bounds.h * k < h + size && !parts.some((p) => x + p.x * k < corner.w - tolerance && y + (p.y + p.h) * k > h - corner.h + tolerance);
}
