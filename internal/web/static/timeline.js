// The timeline: the slider of the shown time, and the part of it before which there is no data.
import { setText } from "./html.js";
import { formatTime } from "./format.js";
import { dataStart } from "./view.js";

export class Timeline {
  #now = 0; // ms, of the server

  /** root contains the slider; on has goTo(time) for a time in ms. */
  constructor(root, on) {
    const find = (id) => root.querySelector(`#${id}`);
    Object.assign(this, { on, slider: find("at"), range: find("no-data-range"), note: find("no-data"), text: root.parentElement.querySelector("output") });
    this.slider.addEventListener("input", () => on.goTo(this.#now + 1000 * this.slider.value));
  }

  /** update shows the window of a graph that ends at now, in ms, and the shown time at, which is empty for now. */
  update(graph, now, at) {
    this.#now = now;
    const start = dataStart(graph, now), width = 1000 * graph.windowSeconds;
    this.slider.min = String(-graph.windowSeconds);
    if (document.activeElement !== this.slider || !at) this.slider.value = at ? String(Math.round((Date.parse(at) - now) / 1000)) : "0";
    setText(this.text, at ? formatTime(at, now) : "now");
    this.slider.setAttribute("aria-valuetext", this.#describe(at, start));
    const missing = start ? Math.max(0, start - now + width) : 0;
    setText(this.note, missing ? `no data before ${formatTime(start, now)}` : "");
    this.range.hidden = this.note.hidden = !missing;
    this.range.style.width = `calc(8px + ${(100 * Math.min(1, missing / width)).toFixed(2)}%)`; // from the end of the track
    this.range.title = this.note.textContent;
  }

  /** #describe returns the text of the slider for screen readers. */
  #describe(at, start) {
    if (!at) return "now";
    return formatTime(at, this.#now) + (Date.parse(at) < start ? `, no data before ${formatTime(start, this.#now)}` : "");
  }
}
