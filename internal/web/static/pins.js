// Pins: the places of nodes that the user has dragged. They outlive a new layout.

export class Pins {
  #places = new Map(); // with the boxes around a node, by the IDs of nodes

  clear() { this.#places.clear(); }

  set({ id, boxes }, { x, y }) { this.#places.set(id, { x, y, boxes: String(boxes) }); }

  /** of returns the pins of those items that are in the same boxes as before, a list of {id, x, y}. An item that replaced another one has its pin. */
  of(items) {
    return items.flatMap(({ id, boxes, predecessors }) => {
      const { x, y, boxes: before } = [id, ...predecessors].map((known) => this.#places.get(known)).find(Boolean) ?? {};
      return before === String(boxes) ? [{ id, boxes, x, y }] : [];
    });
  }

  /** follow moves the pins of items that a refresh has moved: they made room for others. */
  follow(items, before, after) {
    for (const pin of this.of(items)) {
      const from = before.get(pin.id), to = after.get(pin.id);
      if (from && (from.x !== to.x || from.y !== to.y)) this.set(pin, to);
    }
  }
}
