// The search box: it finds nodes of the graph, shown or hidden, and jumps to them.
import { html } from "./html.js";
import { compareNatural, displayName, formatSubtitle } from "./format.js";

const maxResults = 12;

export class Search {
  #found = [];
  #active = -1;

  /** nodes returns the nodes to search; on.jumpTo(id) goes to one. */
  constructor(input, listbox, nodes, on) {
    Object.assign(this, { input, listbox, nodes, on });
    input.addEventListener("input", () => this.#find());
    input.addEventListener("focus", () => this.#find());
    input.addEventListener("blur", () => this.#close());
    input.addEventListener("keydown", (e) => this.#key(e));
    listbox.addEventListener("pointerdown", (e) => {
      e.preventDefault(); // keeps the focus in the input
      const option = e.target.closest("[role=option]");
      if (option) this.#go([...listbox.children].indexOf(option));
    });
  }

  /** refresh repeats an open search after the nodes changed. */
  refresh() {
    if (!this.listbox.hidden) this.#find(this.#found[this.#active]?.id);
  }

  /** #find lists the matches; the node with the ID active stays the active option if it matches. */
  #find(active) {
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = words.length ? this.nodes().map((n) => [rank(n, words), n]).filter(([r]) => r >= 0) : [];
    all.sort(([a, m], [b, n]) => a - b || compareNatural(displayName(m), displayName(n)));
    this.#found = all.slice(0, maxResults).map(([, n]) => n);
    this.#active = Math.max(this.#found.length ? 0 : -1, this.#found.findIndex((n) => n.id === active));
    this.listbox.replaceChildren(...this.#found.map((n, i) => html("li", { role: "option", id: `found-${i}`, "aria-selected": i === this.#active },
      html("b", {}, displayName(n)), " ", html("span", {}, [formatSubtitle(n), n.kind !== "host" && n.host].filter(Boolean).join(" · ")))));
    const nothing = words.length > 0 && !all.length;
    if (nothing) this.listbox.append(html("li", { className: "none", role: "presentation" }, "No match"));
    if (all.length > maxResults) this.listbox.append(html("li", { className: "none", role: "presentation" }, `and ${all.length - maxResults} more`));
    this.listbox.hidden = !words.length;
    this.input.setAttribute("aria-expanded", String(!this.listbox.hidden));
    this.#highlight();
  }

  #highlight() {
    this.listbox.querySelectorAll("[role=option]").forEach((option, i) => option.setAttribute("aria-selected", String(i === this.#active)));
    this.#active >= 0 ? this.input.setAttribute("aria-activedescendant", `found-${this.#active}`) : this.input.removeAttribute("aria-activedescendant");
    this.listbox.children[this.#active]?.scrollIntoView({ block: "nearest" });
  }

  #key(e) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step && this.#found.length) {
      this.#active = (this.#active + step + this.#found.length) % this.#found.length;
      this.#highlight();
    } else if (e.key === "Enter") this.#go(this.#active);
    else if (e.key === "Escape") {
      this.input.value = "";
      this.input.blur();
    } else return;
    e.preventDefault();
    e.stopPropagation();
  }

  #go(index) {
    const node = this.#found[index];
    if (!node) return;
    this.input.value = "";
    this.#close();
    this.on.jumpTo(node.id);
  }

  #close() {
    this.listbox.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

/** rank returns how well a node matches all words: 0 is best, -1 no match. */
function rank(n, words) {
  const name = displayName(n).toLowerCase();
  const addresses = (n.details?.networks || []).flatMap((network) => network.addresses);
  const text = [name, n.image, n.project, n.service, n.host, n.container, ...addresses].join(" ").toLowerCase();
  if (!words.every((word) => text.includes(word))) return -1;
  return name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : name.includes(words[0]) ? 2 : 3;
}
