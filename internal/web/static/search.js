// The search and filter field: it finds nodes of the graph, shown or hidden, jumps to them, and completes terms of the filter query.
import { complete } from "./completion.js";
import { html } from "./html.js";
import { compareNatural, displayName, exposedPorts, formatSubtitle } from "./format.js";

const maxResults = 12;

export class Search {
  #found = [];
  #active = -1;

  /** graph returns the graph to search; on.jumpTo(id) goes to a node, and on.addTerm(term) filters. */
  constructor(input, listbox, graph, on) {
    Object.assign(this, { input, listbox, graph, on });
    input.addEventListener("input", () => this.#find());
    input.addEventListener("focus", () => this.#find());
    input.addEventListener("blur", () => this.#close());
    input.addEventListener("keydown", (e) => this.#key(e));
    listbox.addEventListener("pointerdown", (e) => {
      e.preventDefault(); // keeps the focus in the input
      const option = e.target.closest("[role=option]");
      if (option) this.#go([...listbox.querySelectorAll("[role=option]")].indexOf(option));
    });
  }

  /** refresh repeats an open search after the nodes changed. */
  refresh() {
    if (!this.listbox.hidden) this.#find(keyOf(this.#found[this.#active]));
  }

  /** #find lists the matches; the option with the key active stays the active one if it matches. */
  #find(active) {
    const { nodes, links } = this.graph();
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const all = words.length ? nodes.map((n) => [rank(n, words), n]).filter(([r]) => r >= 0) : [];
    all.sort(([a, m], [b, n]) => a - b || compareNatural(displayName(m), displayName(n)));
    this.#found = [...all.slice(0, maxResults).map(([, node]) => ({ node })), ...complete(this.input.value, { nodes, links }, all.length > 0)];
    this.#active = Math.max(this.#found.length ? 0 : -1, this.#found.findIndex((option) => keyOf(option) === active));
    this.listbox.replaceChildren(...this.#found.map((option, i) => html("li", { role: "option", id: `found-${i}`, "aria-selected": i === this.#active }, describeOption(option))));
    if (words.length > 0 && !this.#found.length) this.listbox.append(html("li", { className: "none", role: "option", "aria-disabled": "true" }, "No match"));
    if (all.length > maxResults) this.listbox.append(html("li", { className: "none", role: "presentation" }, `and ${all.length - maxResults} more`));
    this.listbox.hidden = !words.length;
    this.input.setAttribute("aria-expanded", String(!this.listbox.hidden));
    this.#highlight();
  }

  #highlight() {
    this.listbox.querySelectorAll("[role=option]").forEach((option, i) => option.setAttribute("aria-selected", String(i === this.#active)));
    this.#active >= 0 ? this.input.setAttribute("aria-activedescendant", `found-${this.#active}`) : this.input.removeAttribute("aria-activedescendant");
    this.listbox.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
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
    const option = this.#found[index];
    if (!option) return;
    this.input.value = option.fill ?? "";
    if (option.fill) return this.#find();
    this.#close();
    if (option.term) this.on.addTerm(option.term);
    else this.on.jumpTo(option.node.id);
  }

  #close() {
    this.listbox.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

const keyOf = (option) => option && (option.node?.id ?? option.term ?? option.fill);

/** describeOption returns the content of an option. */
function describeOption({ node, term, fill }) {
  if (term) return term.startsWith("-") ? ["Hide ", html("b", {}, term.slice(1))] : ["Show only ", html("b", {}, term)];
  if (fill) return [html("b", {}, fill), html("span", {}, " …")];
  return [html("b", {}, displayName(node)), " ", html("span", {}, [formatSubtitle(node), node.kind !== "host" && node.host].filter(Boolean).join(" · "))];
}

/** rank returns how well a node matches all words: 0 is best, -1 no match. */
function rank(n, words) {
  const name = displayName(n).toLowerCase();
  const addresses = (n.details?.networks || []).flatMap((network) => network.addresses);
  const text = [name, n.image, n.project, n.service, n.host, n.container, ...addresses, ...exposedPorts(n).map((port) => `:${port}`)].join(" ").toLowerCase();
  if (!words.every((word) => text.includes(word))) return -1;
  return name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : name.includes(words[0]) ? 2 : 3;
}
