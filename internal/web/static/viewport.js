// Zoom and pan of the drawing, with d3-zoom. The drawing is a compositor layer that moves as a whole; it is rasterized again only
// after its scale has changed.
import { fit, isInView, space } from "./fit.js";
import { select, zoom, zoomIdentity } from "./vendor/d3-zoom-3.0.0.esm.js";

const minScale = 0.01, maxScale = 3;
const clickDistance = 4; // px: a shorter drag is a click
const restDelay = 200; // ms without a move until the drawing counts as still
const minVisible = 60; // px of the drawing that always stay in the frame

const clamp = (value, min, max) => Math.min(max, Math.max(min, value));

export class Viewport {
  #transform = zoomIdentity;
  #size = { w: 1, h: 1 };
  #content = { parts: [], bounds: { x: 0, y: 0, w: 1, h: 1 } }; // as contentOf returns it
  #frameSize = { w: 0, h: 0 };
  #shows = ""; // until the user moves the drawing: "all" of it, or its "beginning"
  #dragStart = null; // the position of a pressed pointer until it has moved by clickDistance
  #pointer = 0;
  #restTimer = 0;
  #rasterScale = 0; // the scale of the last rasterization
  #waiting = null;

  /**
   * frame shows a part of the drawing inside it. Texts are readable from readableScale on. onMove is called after each move, onRest when the user
   * has moved the drawing. A drawing that fits stands in the middle of the frame, or with isAtCorner in its upper left corner.
   */
  constructor(frame, drawing, readableScale, onMove, onRest, isAtCorner = false) {
    Object.assign(this, { frame, drawing, readableScale, onMove, onRest, isAtCorner });
    this.selection = select(frame);
    this.#frameSize = { w: frame.clientWidth, h: frame.clientHeight };
    this.behavior = zoom().scaleExtent([minScale, maxScale]).clickDistance(clickDistance).constrain((t) => this.#constrain(t))
      .filter((e) => !e.button && !(e.type === "wheel" && e.shiftKey) && !(e.type === "mousedown" && e.target.closest("[data-draggable]"))).wheelDelta(wheelDelta)
      .on("start", (e) => this.#onStart(e)).on("zoom", (e) => this.#onZoom(e)).on("end", () => this.#onEnd());
    this.selection.call(this.behavior).on("dblclick.zoom", null);
    frame.addEventListener("wheel", (e) => this.#onWheel(e), { passive: false });
    frame.addEventListener("pointerdown", (e) => (this.#pointer = e.pointerId));
    new ResizeObserver(() => this.#resized()).observe(frame);
  }

  /** #resized keeps the middle of the frame in place, or the whole drawing or its beginning visible. */
  #resized() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    if (!w) return; // hidden, and on paper
    if (this.#shows) return this.begin();
    const { x, y, k } = this.#transform;
    const { w: oldWidth, h: oldHeight } = this.#frameSize;
    this.#frameSize = { w, h };
    this.#setTransform(x + (w - oldWidth) / 2, y + (h - oldHeight) / 2, k);
  }

  /** area is the frame as fit needs it: its size, and that of its corner with the buttons. */
  get area() {
    const { left, bottom } = this.frame.getBoundingClientRect(), { right, top } = this.frame.parentElement.querySelector(".zoom button:last-of-type").getBoundingClientRect();
    return { w: this.frame.clientWidth, h: this.frame.clientHeight, corner: { w: right - left + space, h: bottom - top + space } };
  }

  get scale() { return this.#transform.k; }

  /** transform is the position of the drawing in the frame, {x, y} in px, and its scale k. */
  get transform() { return this.#transform; }

  /** locate returns the point of the drawing under a pointer. */
  locate({ clientX, clientY }) {
    const { left, top } = this.frame.getBoundingClientRect();
    const [x, y] = this.#transform.invert([clientX - left, clientY - top]);
    return { x, y };
  }

  /** look is the point of the drawing in the middle of the frame and the scale, as a text. */
  get look() {
    const { x, y } = this.middle;
    return [Math.round(x), Math.round(y), this.scale.toFixed(3)].join(",");
  }

  set look(text) {
    this.#shows = "";
    const [x, y, scale] = text.split(",").map(Number);
    this.#center(x, y, clamp(scale, minScale, maxScale));
  }

  /** middle is the point of the drawing in the middle of the frame. */
  get middle() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const [x, y] = this.#transform.invert([w / 2, h / 2]);
    return { x, y };
  }

  /**
   * follow compensates a shift of the content within the drawing, so that it stays in place on the screen. If the user has not moved
   * the drawing, all of it stays visible instead.
   */
  follow({ x: dx, y: dy }) {
    const { x, y, k } = this.#transform;
    if (this.#shows === "all") {
      if (!isInView(this.#content, this.area, this.#transform)) this.fit();
    } else if (dx || dy) this.#setTransform(x - dx * k, y - dy * k, k);
  }

  /** resize sets the size of the drawing at scale 1, and its content. */
  resize(size, content) {
    this.#content = content;
    const { w, h } = this.#size;
    if (w === size.w && h === size.h) return; // each change of the size lays out the whole drawing
    this.#size = size;
    this.drawing.setAttribute("width", size.w);
    this.drawing.setAttribute("height", size.h);
    this.drawing.setAttribute("viewBox", `0 0 ${size.w} ${size.h}`); // scales the drawing on paper
  }

  /** fit shows the whole drawing. It enlarges a small one only as far as the frame is large. */
  fit() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    if (!this.isAtCorner) this.#place(fit(this.#content, this.area, clamp(w / 1100, 1.25, 2.2)));
    else {
      const scale = clamp(Math.min(w / this.#size.w, h / this.#size.h), minScale, maxScale);
      this.#center(w / 2 / scale, h / 2 / scale, scale);
    }
    this.#shows = "all";
  }

  /** begin shows the whole drawing or, if that would be too small to read, its beginning. */
  begin() {
    this.fit();
    const k = this.readableScale;
    if (this.scale >= k) return;
    this.#shows = "beginning";
    const { clientWidth: w, clientHeight: h } = this.frame, { bounds } = this.#content;
    this.#place({ x: Math.max(space, (w - bounds.w * k) / 2) - bounds.x * k, y: Math.max(space, (h - bounds.h * k) / 2) - bounds.y * k, k });
  }

  /** show centres a place at a legible scale, above the covered height of the frame. */
  show(place, covered, legibleScale = this.readableScale) {
    this.#shows = "";
    const scale = Math.max(this.scale, legibleScale);
    this.#center(place.x + place.w / 2, place.y + place.h / 2 + covered / 2 / scale, scale);
    this.onRest();
  }

  /** reveal pans as little as needed to show a place. */
  reveal(place) {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const [left, top] = this.#transform.apply([place.x, place.y]);
    const [right, bottom] = this.#transform.apply([place.x + place.w, place.y + place.h]);
    const dx = left < 0 ? 20 - left : right > w ? w - 20 - right : 0, dy = top < 0 ? 20 - top : bottom > h ? h - 20 - bottom : 0;
    if (dx || dy) this.pan(dx, dy);
  }

  pan(dx, dy) {
    this.behavior.translateBy(this.selection, dx / this.scale, dy / this.scale);
    this.#userMoved();
  }

  /** zoom scales around the middle of the frame. */
  zoom(factor) {
    this.behavior.scaleBy(this.selection, factor);
    this.#userMoved();
  }

  /** #onWheel pans with Shift; d3-zoom handles the other wheel events. */
  #onWheel(e) {
    e.preventDefault();
    if (e.shiftKey) this.pan(-(e.deltaX || e.deltaY) * wheelStep(e), 0);
  }

  #onStart({ sourceEvent }) {
    this.#dragStart = sourceEvent?.type === "mousedown" ? { x: sourceEvent.clientX, y: sourceEvent.clientY } : null;
  }

  #onZoom({ transform, sourceEvent }) {
    if (sourceEvent?.type === "mousemove" && this.#dragStart) {
      const { x, y } = this.#dragStart;
      if (Math.hypot(sourceEvent.clientX - x, sourceEvent.clientY - y) <= clickDistance) return;
      this.#dragStart = null;
      this.frame.setPointerCapture(this.#pointer); // no hover effects during a drag
    }
    this.#transform = transform;
    this.#apply();
    if (sourceEvent) this.#userMoved();
  }

  /** #onEnd drops the movement of a click. */
  #onEnd() {
    this.selection.property("__zoom", this.#transform);
  }

  /** whenStill calls a function when the drawing does not move; of several calls only the last one counts. */
  whenStill(action) {
    if (this.#restTimer) this.#waiting = action;
    else action();
  }

  /** #center shows a point of the drawing in the middle of the frame. */
  #center(x, y, scale) { this.#place({ x: this.frame.clientWidth / 2 - x * scale, y: this.frame.clientHeight / 2 - y * scale, k: scale }); }

  #place({ x, y, k }) {
    this.#frameSize = { w: this.frame.clientWidth, h: this.frame.clientHeight };
    this.#setTransform(x, y, Math.max(minScale, k));
    this.#rest();
  }

  #setTransform(x, y, scale) {
    this.behavior.transform(this.selection, this.#constrain(zoomIdentity.translate(x, y).scale(scale)));
  }

  #apply() {
    const { x, y, k } = this.#transform;
    this.drawing.style.transform = `translate(${x}px, ${y}px) scale(${k})`;
    this.onMove();
  }

  #userMoved() {
    this.#shows = "";
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(() => {
      this.#rest();
      this.onRest();
    }, restDelay);
  }

  #rest() {
    clearTimeout(this.#restTimer);
    this.#restTimer = 0;
    const { style } = this.drawing;
    if (this.#rasterScale !== this.scale) {
      this.#rasterScale = this.scale;
      style.willChange = "";
      requestAnimationFrame(() => (style.willChange = "transform"));
    }
    const action = this.#waiting;
    this.#waiting = null;
    action?.();
  }

  /** #constrain keeps a part of the drawing in the frame. */
  #constrain({ x, y, k }) {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const keep = (value, frame, size) => Math.min(frame - minVisible, Math.max(minVisible - size * k, value));
    return zoomIdentity.translate(keep(x, w, this.#size.w), keep(y, h, this.#size.h)).scale(k);
  }
}

const wheelStep = (e) => (e.deltaMode === 1 ? 30 : 1); // px of a line

/** wheelDelta returns the binary logarithm of the zoom factor of a wheel event. Browsers set ctrlKey for a pinch on a touchpad. */
const wheelDelta = (e) => -e.deltaY * wheelStep(e) * (e.ctrlKey ? 0.01 : 0.0015) * Math.LOG2E;
