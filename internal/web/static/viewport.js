// Moving and scaling the drawing with pointer, wheel and fingers. It is a layer of its own that the compositor moves as a whole;
// only after it was scaled it is drawn anew, to be sharp.

const least = 0.04, most = 3;
const narrow = 600, legible = 0.75;
const steady = 200; // ms without a move, after which the drawing stands still

export class Viewport {
  #x = 0;
  #y = 0;
  #scale = 1;
  #size = { w: 1, h: 1 };
  #frameSize = { w: 0, h: 0 };
  #pointers = new Map();
  #moved = false;
  #fitted = false; // all of it is shown, and nobody has moved it since
  #rest = 0;
  #sharp = 0; // the scale for which the layer was drawn
  #waiting = null;

  /** frame shows a part of drawing, which lies in it. onMove is called after each move, onRest when it was moved from where fit has it. */
  constructor(frame, drawing, onMove, onRest) {
    Object.assign(this, { frame, drawing, onMove, onRest });
    this.#frameSize = { w: frame.clientWidth, h: frame.clientHeight };
    frame.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
    frame.addEventListener("pointerdown", (e) => this.#down(e));
    frame.addEventListener("pointermove", (e) => this.#move(e));
    for (const type of ["pointerup", "pointercancel"]) frame.addEventListener(type, (e) => this.#up(e));
    frame.addEventListener("click", (e) => this.#moved && e.stopImmediatePropagation(), { capture: true });
    new ResizeObserver(() => this.#resized()).observe(frame);
  }

  /** #resized keeps what is in the middle of the frame there, or all in sight. */
  #resized() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    if (this.#fitted) return this.fit();
    this.#x += (w - this.#frameSize.w) / 2;
    this.#y += (h - this.#frameSize.h) / 2;
    this.#frameSize = { w, h };
    this.#apply();
  }

  get scale() { return this.#scale; }

  /** look is what of the drawing is in the middle and how large, as a text that look takes back. */
  get look() {
    const { x, y } = this.middle;
    return [Math.round(x), Math.round(y), this.#scale.toFixed(3)].join(",");
  }

  set look(text) {
    this.#fitted = false;
    const [x, y, scale] = text.split(",").map(Number);
    this.#scale = Math.min(most, Math.max(least, scale));
    this.#center(x, y);
  }

  /** middle is the point of the drawing that is in the middle of the frame. */
  get middle() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    return { x: (w / 2 - this.#x) / this.#scale, y: (h / 2 - this.#y) / this.#scale };
  }

  /**
   * follow moves the drawing so that what was moved within it stays where it is to be seen; where nobody has moved it, all of it
   * stays in sight.
   */
  follow({ x, y }) {
    const { w, h } = this.#frameSize;
    if (this.#fitted) {
      const isWhole = this.#x >= -1 && this.#y >= -1 && this.#x + this.#size.w * this.#scale <= w + 1 && this.#y + this.#size.h * this.#scale <= h + 1;
      if (!isWhole) this.fit();
    } else if (x || y) {
      this.#x -= x * this.#scale;
      this.#y -= y * this.#scale;
      this.#apply();
    }
  }

  /** resize takes note of how large the drawing is, at the scale 1. */
  resize(size) {
    this.#size = size;
    this.drawing.setAttribute("width", size.w);
    this.drawing.setAttribute("height", size.h);
  }

  /** fit shows all of it, and makes little larger only as far as the frame is large. It is not a move. */
  fit() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const largest = Math.min(2.2, Math.max(1.25, w / 1100));
    this.#scale = Math.max(least, Math.min(largest, w / this.#size.w, h / this.#size.h));
    this.#center(this.#size.w / 2, this.#size.h / 2);
    this.#fitted = true;
  }

  /** #center brings a point of the drawing into the middle of the frame. */
  #center(x, y) {
    this.#frameSize = { w: this.frame.clientWidth, h: this.frame.clientHeight };
    this.#x = this.#frameSize.w / 2 - x * this.#scale;
    this.#y = this.#frameSize.h / 2 - y * this.#scale;
    this.#apply();
    this.#settle();
  }

  /** begin shows all of it or, on a screen as narrow as a telephone's, so much from the left as can be read. */
  begin() {
    this.fit();
    const { clientWidth: w } = this.frame;
    if (w > narrow || this.#scale > legible) return;
    this.#scale = legible;
    this.#fitted = false;
    this.#center(w / 2 / legible, this.#size.h / 2);
  }

  /** show brings a place into the middle, large enough to be read. */
  show(place) {
    this.#fitted = false;
    this.#scale = Math.max(this.#scale, 0.8);
    this.#center(place.x + place.w / 2, place.y + place.h / 2);
    this.onRest();
  }

  /** reveal moves as little as it takes to have a place in sight. */
  reveal(place) {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const [left, top] = [place.x * this.#scale + this.#x, place.y * this.#scale + this.#y];
    const [right, bottom] = [left + place.w * this.#scale, top + place.h * this.#scale];
    const dx = left < 0 ? 20 - left : right > w ? w - 20 - right : 0, dy = top < 0 ? 20 - top : bottom > h ? h - 20 - bottom : 0;
    if (dx || dy) this.pan(dx, dy);
  }

  pan(dx, dy) {
    this.#x += dx;
    this.#y += dy;
    this.#moving();
  }

  /** zoom scales around a point of the frame, the middle if none is given. */
  zoom(factor, at = { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 }) {
    const scale = Math.min(most, Math.max(least, this.#scale * factor));
    this.#x = at.x - ((at.x - this.#x) * scale) / this.#scale;
    this.#y = at.y - ((at.y - this.#y) * scale) / this.#scale;
    this.#scale = scale;
    this.#moving();
  }

  #wheel(e) {
    e.preventDefault();
    const step = e.deltaMode === 1 ? 30 : 1; // lines
    if (e.shiftKey) this.pan(-(e.deltaX || e.deltaY) * step, 0);
    else this.zoom(Math.exp(-e.deltaY * step * (e.ctrlKey ? 0.01 : 0.0015)), this.#at(e));
  }

  #at(e) {
    const frame = this.frame.getBoundingClientRect();
    return { x: e.clientX - frame.left, y: e.clientY - frame.top };
  }

  #down(e) {
    if (e.button !== 0) return;
    if (!this.#pointers.size) this.#moved = false;
    this.#pointers.set(e.pointerId, { ...this.#at(e), start: this.#at(e) });
  }

  #up(e) {
    this.#pointers.delete(e.pointerId);
    setTimeout(() => (this.#moved = false)); // after the click that may follow
  }

  #move(e) {
    const before = this.#pointers.get(e.pointerId);
    if (!before) return;
    if (!e.buttons) return this.#up(e); // it was released where the page does not see it
    const now = this.#at(e);
    if (!this.#moved && Math.hypot(now.x - before.start.x, now.y - before.start.y) < 4) return;
    if (!this.#moved) this.frame.setPointerCapture(e.pointerId); // not before it is more than a click
    this.#moved = true;
    const other = [...this.#pointers].find(([id]) => id !== e.pointerId)?.[1];
    if (other) {
      const distance = (p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y));
      this.zoom(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    }
    const share = other ? 0.5 : 1;
    this.pan((now.x - before.x) * share, (now.y - before.y) * share);
    Object.assign(before, now);
  }

  /** whenStill does something when the drawing does not move; of several things only the last. */
  whenStill(action) {
    if (this.#rest) this.#waiting = action;
    else action();
  }

  #apply() {
    this.#keepInSight();
    this.drawing.style.transform = `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.onMove();
  }

  #moving() {
    this.#fitted = false;
    this.#apply();
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#settle();
      this.onRest();
    }, steady);
  }

  #settle() {
    clearTimeout(this.#rest);
    this.#rest = 0;
    const { style } = this.drawing;
    if (this.#sharp !== this.#scale) {
      this.#sharp = this.#scale;
      style.willChange = "";
      requestAnimationFrame(() => (style.willChange = "transform"));
    }
    const action = this.#waiting;
    this.#waiting = null;
    action?.();
  }

  /** #keepInSight leaves some of the drawing in the frame, whatever is done. */
  #keepInSight() {
    const keep = 60, { clientWidth: w, clientHeight: h } = this.frame;
    this.#x = Math.min(w - keep, Math.max(keep - this.#size.w * this.#scale, this.#x));
    this.#y = Math.min(h - keep, Math.max(keep - this.#size.h * this.#scale, this.#y));
  }
}
