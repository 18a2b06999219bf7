// Dragging nodes of the map with a mouse or a pen. A finger pans the map instead.

const minDistance = 5; // px: a shorter drag is a click

/**
 * dragNodes lets the nodes in a frame be dragged. move(id, by) is called on the way, and drop(id, by) at the end, with the distance {x, y} in px of the
 * drawing. scale() returns its scale.
 */
export function dragNodes(frame, { scale, move, drop }) {
  let held = null;
  const distance = (e) => ({ x: (e.clientX - held.x) / scale(), y: (e.clientY - held.y) / scale() });
  frame.addEventListener("pointerdown", (e) => {
    const id = e.pointerType !== "touch" && e.button === 0 && e.target.closest("[data-draggable]")?.dataset.id;
    held = id ? { id, x: e.clientX, y: e.clientY, isMoved: false } : null;
  });
  frame.addEventListener("pointermove", (e) => {
    if (!held) return;
    if (!held.isMoved && Math.hypot(e.clientX - held.x, e.clientY - held.y) < minDistance) return;
    if (!held.isMoved) frame.setPointerCapture(e.pointerId);
    held.isMoved = true;
    move(held.id, distance(e));
  });
  frame.addEventListener("pointerup", (e) => {
    if (held?.isMoved) {
      ignoreClick(frame);
      drop(held.id, distance(e));
    }
    held = null;
  });
  frame.addEventListener("pointercancel", () => {
    if (held?.isMoved) drop(held.id, { x: 0, y: 0 });
    held = null;
  });
}

/** ignoreClick drops the click at the end of a drag. */
function ignoreClick(frame) {
  const stop = (e) => e.stopImmediatePropagation();
  frame.addEventListener("click", stop, { capture: true, once: true });
  setTimeout(() => frame.removeEventListener("click", stop, { capture: true }));
}
