// The texts along the axes of the matrix: their widths, and short forms that differ from each other.
const canvas = document.createElement("canvas").getContext("2d");
const letterWidths = new Map();

const boldest = "600 12px "; // of labels

/** letterWidth returns the width of a letter in px. */
function letterWidth(letter, font = boldest) {
  const key = font + letter;
  if (!letterWidths.has(key)) {
    if (letterWidths.size > 5000) letterWidths.clear();
    canvas.font = font + getComputedStyle(document.documentElement).getPropertyValue("--sans");
    letterWidths.set(key, canvas.measureText(letter).width);
  }
  return letterWidths.get(key);
}

/** widthOf returns the width of a text in px, by default in the boldest font of labels. */
export const widthOf = (text, font) => [...text].reduce((sum, letter) => sum + letterWidth(letter, font), 0);

/** joinLabel returns the text of a label: its name, and the quiet text after it. */
export const joinLabel = ({ name, quiet }) => name + quiet;

/** Cut is a label that is too wide for its room. */
class Cut {
  constructor(label) {
    this.letters = [...joinLabel(label)];
    this.quietFrom = [...label.name].length;
  }

  /** #parts returns the letters [from, to) of ranges as a label, with an ellipsis for those between. */
  #parts(ranges) {
    const label = { name: "", quiet: "" };
    let last = 0;
    for (const [from, to] of [...ranges, [this.letters.length, this.letters.length]]) {
      if (from > last) label[last > this.quietFrom ? "quiet" : "name"] += "…";
      for (let i = from; i < to; i++) label[i < this.quietFrom ? "name" : "quiet"] += this.letters[i];
      last = to;
    }
    return label;
  }

  /** #reach returns how many letters from an index on, in a direction, fit into a width in px. */
  #reach(from, step, width) {
    let count = 0;
    for (let i = from; i >= 0 && i < this.letters.length && (width -= letterWidth(this.letters[i])) >= 0; i += step) count++;
    return count;
  }

  /** aroundGap leaves out letters so that a share of the width in px is before the gap. */
  aroundGap(share, width) {
    const room = width - letterWidth("…"), head = this.#reach(0, 1, room * share);
    const rest = room - this.letters.slice(0, head).reduce((sum, l) => sum + letterWidth(l), 0);
    return this.#parts([[0, head], [this.letters.length - this.#reach(this.letters.length - 1, -1, rest), this.letters.length]]);
  }

  /** from keeps the letters from an index on. */
  from(start, width) {
    const count = this.#reach(start, 1, width - 2 * letterWidth("…"));
    return this.#parts([[start, start + count]]);
  }
}

const shares = [0.5, 0.65, 0.35, 0.8, 0.2, 0.95, 0.05];

/** shortenAll returns labels {name, quiet} that are at most as wide as a width in px. Labels that differ keep a part in which they do. */
export function shortenAll(labels, width) {
  const result = labels.map((label) => (widthOf(joinLabel(label)) <= width ? label : null));
  const cuts = labels.map((label, i) => ({ i, cut: result[i] ? null : new Cut(label), text: joinLabel(label) })).filter(({ cut }) => cut);
  const taken = new Set(labels.filter((_, i) => result[i]).map(joinLabel));
  for (const alike of Map.groupBy(cuts, ({ cut }) => joinLabel(cut.aroundGap(shares[0], width))).values()) {
    const forms = distinctForms(alike, width, taken);
    alike.forEach(({ i }, j) => (result[i] = forms[j]));
    for (const form of forms) taken.add(joinLabel(form));
  }
  return result;
}

/** distinctForms returns short forms of labels that differ from each other and from those that are taken, if possible. */
function distinctForms(alike, width, taken) {
  const count = new Set(alike.map(({ text }) => text)).size;
  const different = (forms) => new Set(forms.map(joinLabel).filter((text) => !taken.has(text))).size;
  let best = [];
  for (const make of [...shares.map((share) => (cut) => cut.aroundGap(share, width)), (cut) => cut.from(commonPrefix(alike), width)]) {
    const forms = alike.map(({ cut }) => make(cut));
    if (!best.length || different(forms) > different(best)) best = forms;
    if (different(best) === count) break;
  }
  return best;
}

/** commonPrefix returns how many letters labels have in common at their start. */
function commonPrefix(alike) {
  const [{ cut: { letters } }] = alike;
  const first = letters.findIndex((letter, i) => alike.some(({ cut }) => cut.letters[i] !== letter));
  return Math.max(1, first - 2);
}
