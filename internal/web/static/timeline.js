// The timeline: the slider of the shown time between the marks of when links appeared and went, with clock times below, and the part
// before which there is no data.
import { button, html, setText, updateChildren } from "./html.js";
import { capitalize, formatCount, formatTime } from "./format.js";
import { livePeriod } from "./activity.js";
import { dataStart } from "./view.js";

const maxMarks = 40; // in each direction
const maxSpoken = 12; // marks that the text for screen readers lists
const second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour; // ms

/** spans are the times, in ms, that one mark may stand for. */
const spans = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400].map((n) => n * second);

/** markSpan returns the time, in ms, that one mark of a window stands for. */
export const markSpan = (width) => spans.find((s) => width / s <= maxMarks) || Math.ceil(width / maxMarks / day) * day;

/**
 * findMarks returns when links appeared after start and went until now, in ms: {at, appeared, went} in ascending order. A mark stands for
 * all links of a span of the clock, and at is the full second after the last of them. A link goes a period after it was last seen.
 */
export function findMarks(links, start, now, span, period) {
  const marks = new Map();
  const add = (time, kind) => {
    const at = Math.floor(time / second) * second + second, id = Math.floor(time / span);
    if (!(time > start && at <= now)) return;
    const mark = marks.get(id) || { id, at, appeared: 0, went: 0 };
    marks.set(id, { ...mark, at: Math.max(mark.at, at), [kind]: mark[kind] + 1 });
  };
  for (const l of links) {
    add(Date.parse(l.firstSeen), "appeared");
    if (!l.live && !l.closed) add(Date.parse(l.lastSeen) + period, "went");
  }
  return [...marks.values()].sort((a, b) => a.id - b.id);
}

/** describeMark writes what happened at a mark. */
const describeMark = ({ appeared, went }) =>
  [appeared && `${formatCount(appeared, "link")} appeared`, went && `${appeared ? went : formatCount(went, "link")} went`].filter(Boolean).join(", ");

/** formatClock writes a time of a window, as short as its width allows. */
function formatClock(time, width) {
  const at = new Date(time), clock = at.toTimeString().slice(0, width < 10 * minute ? 8 : 5);
  return width > day ? `${at.toLocaleDateString("en-US", { weekday: "short" })} ${clock}` : clock;
}

export class Timeline {
  #now = 0; // ms, of the server
  #width = hour; // of the window, in ms
  #at = NaN; // the shown time in ms; NaN for now
  #marks = [];
  #links = [];

  /** root contains the slider; on has goTo(time) for a time in ms. */
  constructor(root, on) {
    const find = (selector) => root.querySelector(selector);
    Object.assign(this, {
      on, slider: find("#at"), range: find("#no-data-range"), note: find("#no-data"), ticks: find(".ticks"), appeared: find(".appeared"), went: find(".went"),
      spoken: find("#marks-text"), text: root.parentElement.querySelector("output"),
    });
    this.slider.addEventListener("input", () => on.goTo(this.#now + second * this.slider.value));
    this.slider.addEventListener("keydown", (e) => this.#move(e));
  }

  /** setLinks sets the links of the view, from the whole window. update shows them. */
  setLinks(links) {
    this.#links = links;
  }

  /** update shows the window of a graph that ends at now, in ms, and the shown time at, which is empty for now. */
  update(graph, now, at) {
    const width = second * graph.windowSeconds, start = dataStart(graph, now);
    this.#now = now;
    this.#width = width;
    this.#at = Date.parse(at);
    this.#marks = findMarks(this.#links, Math.max(start, now - width), now, markSpan(width), livePeriod(graph));
    this.slider.min = String(-graph.windowSeconds);
    if (document.activeElement !== this.slider || !at || this.#isAside()) this.slider.value = at ? String(Math.round((this.#at - now) / second)) : "0";
    setText(this.text, at ? formatTime(at, now) : "now");
    this.#drawNoData(start);
    this.#drawMarks(this.appeared, "appeared");
    this.#drawMarks(this.went, "went");
    this.#drawTicks();
    this.slider.setAttribute("aria-valuetext", this.#describe(start));
    setText(this.spoken, this.#describeMarks());
  }

  /** step goes to the mark before (-1) or after (1) the shown time, or from the last mark to now. It returns what is there; empty if nothing is. */
  step(direction) {
    const shown = Number.isNaN(this.#at) ? Infinity : this.#at;
    const mark = direction < 0 ? this.#marks.findLast((m) => m.at < shown) : this.#marks.find((m) => m.at > shown);
    if (!mark && (direction < 0 || shown === Infinity)) return "";
    this.on.goTo(mark ? mark.at : this.#now);
    return mark ? `${formatTime(mark.at, this.#now)}: ${describeMark(mark)}` : "Now";
  }

  /** #isAside reports whether the slider has another value than the shown time, as after a step to a mark. */
  #isAside() {
    return Math.abs(this.#now + second * this.slider.value - this.#at) >= this.#width / 60;
  }

  /** #move moves by a sixtieth of the window. With Shift the browser moves by a second. */
  #move(e) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
    if (!direction || e.shiftKey || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    const value = Number(this.slider.value) * second + direction * Math.max(second, this.#width / 60);
    this.slider.value = String(Math.min(0, Math.round(value / second)));
    this.on.goTo(this.#now + second * this.slider.value);
  }

  /** #left returns the place of a time, in percent of the window. */
  #left(time) {
    return Math.min(100, Math.max(0, 100 - (100 * (this.#now - time)) / this.#width));
  }

  #drawNoData(start) {
    const share = start ? this.#left(start) : 0;
    setText(this.note, share ? `no data before ${formatClock(start, this.#width)}` : "");
    this.range.hidden = this.note.hidden = !share;
    this.range.style.width = `calc(8px + ${share.toFixed(2)}%)`; // from the end of the track
  }

  /** #drawMarks draws a bar for each mark of a kind. More links make it longer. */
  #drawMarks(row, kind) {
    const marks = this.#marks.filter((m) => m[kind]);
    updateChildren(row, marks.map((m) => {
      const label = `${formatTime(m.at, this.#now)}: ${describeMark(m)}`;
      return button("", () => this.on.goTo(m.at), { tabIndex: -1, className: "mark", title: label, "aria-label": label, dataset: { id: String(m.id) } });
    }));
    marks.forEach((m, i) => {
      const { style } = row.children[i];
      style.left = `${this.#left(m.at).toFixed(2)}%`;
      style.setProperty("--size", String(Math.min(1, 0.3 + 0.2 * Math.log2(m[kind]))));
    });
  }

  /** #drawTicks draws the clock times. The text about missing data takes the place of the first ones. */
  #drawTicks() {
    const isLong = this.#width > day || this.#width < 10 * minute;
    const shares = (isLong ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).filter((s) => this.note.hidden || s > 0.5);
    updateChildren(this.ticks, shares.map((s) => html("span", { className: { 0: "first", 0.5: "", 1: "last" }[s] ?? "minor" },
      s === 1 ? "now" : formatClock(this.#now - this.#width * (1 - s), this.#width))));
    shares.forEach((s, i) => (this.ticks.children[i].style.left = `${100 * s}%`));
  }

  /** #describe returns the text of the slider for screen readers. */
  #describe(start) {
    if (Number.isNaN(this.#at)) return "now";
    const mark = this.#marks.find((m) => m.at === this.#at);
    const about = this.#at < start ? `no data before ${formatTime(start, this.#now)}` : mark && describeMark(mark);
    return [formatTime(this.#at, this.#now), about].filter(Boolean).join(", ");
  }

  /** #describeMarks returns the latest marks as text. */
  #describeMarks() {
    if (!this.#marks.length) return "No link appeared or went in this time.";
    const spoken = this.#marks.slice(-maxSpoken).reverse(), more = this.#marks.length - spoken.length;
    const texts = spoken.map((m) => `${formatTime(m.at, this.#now)} ${describeMark(m)}`);
    return capitalize(`${texts.join("; ")}${more ? `; and ${formatCount(more, "earlier time")}` : ""}. The keys [ and ] go from one to the next.`);
  }
}
