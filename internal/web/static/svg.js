// SVG elements that are kept from one drawing to the next. Foreign text becomes text nodes, never markup.
//
// Why no library: a layer compares one string for each thing and touches only the elements that changed. Generic DOM patching
// would build and compare thousands of SVG elements at each refresh, and may move elements that have the focus.

const space = "http://www.w3.org/2000/svg";

/** svg returns an SVG element with attributes and children; strings become text nodes. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((c) => c !== undefined && c !== ""));
  return element;
}

/** replace swaps an element for a new one and keeps the focus. */
function replace(before, element) {
  const focused = document.activeElement === before;
  before.replaceWith(element);
  if (!focused) return;
  element.setAttribute("tabindex", "0");
  element.focus({ preventScroll: true });
}

/** Layer keeps the elements of things by their IDs, and replaces only those with another appearance. */
export class Layer {
  #kept = new Map();

  constructor(parent, name, make) {
    this.group = svg("g", { class: name });
    this.make = make;
    parent.append(this.group);
  }

  /** draw makes the layer contain exactly the elements of things. appearance returns all that an element depends on. */
  draw(things, appearance) {
    const before = this.#kept;
    this.#kept = new Map();
    let last = null;
    for (const thing of things) {
      const description = JSON.stringify(appearance(thing));
      let kept = before.get(thing.id);
      before.delete(thing.id);
      if (kept?.description !== description) {
        const element = this.make(thing);
        element.dataset.id = thing.id;
        if (kept) replace(kept.element, element);
        else this.group.insertBefore(element, last ? last.nextSibling : this.group.firstChild);
        kept = { element, description };
      }
      kept.thing = thing;
      this.#kept.set(thing.id, kept);
      last = kept.element;
    }
    before.forEach(({ element }) => element.remove());
  }

  element(id) { return this.#kept.get(id)?.element; }
  thing(id) { return this.#kept.get(id)?.thing; }
  * [Symbol.iterator]() { yield* this.#kept.values(); }
}
