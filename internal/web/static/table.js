// The table of the links that are shown: the same as the map, for reading, sorting and copying.
import { html, patch, write } from "./html.js";
import { ago, bytes, clip, compareTexts, count, nameOf, number, placed, plain } from "./names.js";
import { keyOf } from "./view.js";

const page = 200; // rows at once
const longest = 36; // letters of a name; those who have the table read out get all of them
const compare = (a, b) => (typeof a === "number" ? a - b : compareTexts(a, b));

/**
 * columns are what a row says: a text, how that is shown where it is too long, and by what it is sorted where that is not the
 * text; minor ones are shown when asked for.
 */
const columns = [
  { name: "Client", text: (r) => r.client, shown: (r) => r.clientShown, title: (r) => r.clientTitle },
  { name: "Server", text: (r) => r.server, shown: (r) => r.serverShown, title: (r) => r.serverTitle },
  { name: "Port", text: (r) => String(r.link.port), by: (r) => r.link.port, numeric: true },
  { name: "Connections", short: "Conn.", text: (r) => (r.link.uncounted ? "" : number(r.link.connections)), by: (r) => r.link.connections, numeric: true },
  { name: "Via", text: (r) => r.link.via },
  { name: "Seen by", text: (r) => r.link.evidence },
  { name: "State", text: (r) => (r.isNew ? "new, " : "") + (r.link.live ? "live" : "past"), by: (r) => (r.isNew ? 0 : r.link.live ? 1 : 2) },
  { name: "Client's host", minor: true, text: (r) => r.clientHost, shown: (r) => clip(r.clientHost, longest) },
  { name: "Server's host", minor: true, text: (r) => r.serverHost, shown: (r) => clip(r.serverHost, longest) },
  { name: "Round trip", minor: true, text: (r) => (r.link.measured ? (r.link.measured.rttMicroseconds / 1000).toFixed(2) + " ms" : ""), by: (r) => r.link.measured?.rttMicroseconds ?? -1, numeric: true },
  { name: "Sent", minor: true, text: (r) => (r.link.measured ? bytes(r.link.measured.bytesSent) : ""), by: (r) => r.link.measured?.bytesSent ?? -1, numeric: true },
  { name: "Received", minor: true, text: (r) => (r.link.measured ? bytes(r.link.measured.bytesReceived) : ""), by: (r) => r.link.measured?.bytesReceived ?? -1, numeric: true },
  { name: "First seen", minor: true, text: (r) => r.first, by: (r) => r.link.firstSeen },
  { name: "Last seen", minor: true, text: (r) => r.last, by: (r) => r.link.lastSeen },
];

export class LinkTable {
  #rows = [];
  #shown = []; // of them, in order
  #kept = new Map(); // what is on the page, by the keys of links
  #most = page;
  #columns = [];
  #selected = new Set();
  filter = [];
  sort = "";

  /** root holds the table and its tools; on has select(key) and sort(text). */
  constructor(root, on) {
    this.on = on;
    this.table = root.querySelector("table");
    this.body = root.querySelector("tbody");
    this.counted = root.querySelector("#table-count");
    this.more = root.querySelector("#more");
    this.more.onclick = () => {
      this.#most += 5 * page;
      this.#render();
    };
    this.body.addEventListener("click", (e) => this.#choose(e));
    this.body.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") this.#choose(e);
      else if (e.key === "ArrowDown") e.target.closest("tr").nextElementSibling?.focus();
      else if (e.key === "ArrowUp") e.target.closest("tr").previousElementSibling?.focus();
      else return;
      e.preventDefault();
    });
  }

  /** fill takes links between nodes, of which select shows those with all words of filter, in the order of sort, such as "Port" or "-Port". */
  fill({ links, nodes }, { filter, sort, now, columns: which }) {
    this.#columns = columns.filter((c) => !c.minor || which === "all");
    const byID = new Map(nodes.map((n) => [n.id, n]));
    const called = Map.groupBy(nodes, nameOf);
    const isOneOfSeveral = (n) => called.get(nameOf(n)).length > 1;
    this.#rows = links.map((link) => rowOf(link, byID, isOneOfSeveral, now));
    this.filter = filter.toLowerCase().split(/\s+/).filter(Boolean);
    this.sort = sort;
    this.#shown = this.#inOrder();
  }

  /** select shows the rows, marks those of links by their keys, and brings the first of these into sight. */
  select(keys, scroll) {
    this.#selected = new Set(keys);
    const index = this.#shown.findIndex((r) => this.#selected.has(r.key));
    if (index >= this.#most) this.#most = index + page;
    this.#render();
    if (scroll && index >= 0) this.body.children[index]?.scrollIntoView({ block: "nearest" });
  }

  /** text is the table as it is shown, for a spreadsheet. */
  text() {
    const lines = this.#shown.map((r) => this.#columns.map((c) => plain(c.text(r)).replace(/[\t\n\r]/g, " ")).join("\t"));
    return [this.#columns.map((c) => c.name).join("\t"), ...lines].join("\n") + "\n";
  }

  /** #inOrder returns the rows that have all words, sorted. */
  #inOrder() {
    const rows = this.#rows.filter((r) => this.filter.every((word) => r.searched.includes(word)));
    const name = this.sort.replace(/^-/, "");
    const column = columns.find((c) => c.name === name);
    if (!column) return rows;
    const by = column.by || column.text, sign = this.sort.startsWith("-") ? -1 : 1;
    return rows.sort((a, b) => sign * compare(by(a), by(b)));
  }

  #sortBy(name) {
    this.on.sort(this.sort === name ? "-" + name : this.sort === "-" + name ? "" : name);
  }

  #choose(e) {
    const row = e.target.closest("tr");
    if (row) this.on.select(row.dataset.key);
  }

  #render() {
    this.#renderRows(this.#shown.slice(0, this.#most));
    const { length } = this.#shown;
    const left = length - this.#most;
    this.more.hidden = left <= 0;
    this.more.textContent = `${number(Math.max(0, left))} more: show the next`;
    write(this.counted, length === this.#rows.length ? count(length, "link") : `${number(length)} of ${count(this.#rows.length, "link")}`);
    this.#renderHead();
  }

  /** #renderRows keeps the rows that are there already: somebody may be reading one, or have it selected. */
  #renderRows(rows) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    const index = focused?.sectionRowIndex;
    const reachable = rows.find((r) => this.#selected.has(r.key)) || rows[0];
    const before = this.#kept;
    this.#kept = new Map(rows.map((r) => {
      const made = this.#row(r, r === reachable), kept = before.get(r.key);
      before.delete(r.key);
      if (kept) patch(kept, made);
      return [r.key, kept || made];
    }));
    before.forEach((row) => row.remove());
    let next = this.body.firstElementChild;
    for (const row of this.#kept.values()) {
      if (row === next) next = next.nextElementSibling;
      else this.body.insertBefore(row, next);
    }
    if (!focused || document.activeElement === focused) return;
    const row = focused.isConnected ? focused : this.body.rows[Math.min(index, rows.length - 1)]; // it was moved, or is gone
    row?.focus({ preventScroll: true });
  }

  #renderHead() {
    const row = this.table.querySelector("thead tr");
    if (row.children.length !== this.#columns.length) {
      row.replaceChildren(...this.#columns.map((c) => html("th", { scope: "col", className: c.numeric ? "numeric" : "" },
        html("button", { type: "button", title: `Sort by ${c.name.toLowerCase()}`, onclick: () => this.#sortBy(c.name) }, c.short || c.name))));
    }
    this.#columns.forEach((c, i) => {
      const sorted = this.sort.replace(/^-/, "") === c.name;
      sorted ? row.children[i].setAttribute("aria-sort", this.sort.startsWith("-") ? "descending" : "ascending") : row.children[i].removeAttribute("aria-sort");
    });
  }

  #row(r, reachable) {
    const selected = this.#selected.has(r.key);
    const classes = [r.link.live ? "live" : "past", r.isNew ? "new" : "", r.link.evidence === "both" ? "" : "half", selected ? "selected" : ""];
    return html("tr", { tabIndex: reachable ? 0 : -1, className: classes.filter(Boolean).join(" "), ...(selected && { "aria-current": "true" }), dataset: { key: r.key } },
      this.#columns.map((c) => cell(c, r)));
  }
}

/** cell returns what a row says in a column. */
function cell(c, r) {
  const text = c.text(r), shown = c.shown?.(r) ?? text;
  return html("td", { className: c.numeric ? "numeric" : c.shown ? "long" : "", title: c.title?.(r) ?? "" },
    shown === text ? text : [html("span", { "aria-hidden": "true" }, shown), html("span", { className: "visually-hidden" }, text)]);
}

function rowOf(link, byID, isOneOfSeveral, now) {
  const client = byID.get(link.client), server = byID.get(link.server);
  const name = (n) => (isOneOfSeveral(n) ? placed(n) : nameOf(n));
  const shown = (n) => clip(nameOf(n), longest) + (name(n) === nameOf(n) ? "" : ` on ${clip(n.host, longest)}`);
  const title = (n) => [nameOf(n), n.image, n.host && `on ${n.host}`].filter(Boolean).join(", ");
  return {
    link, key: keyOf(link), client: name(client), server: name(server), clientShown: shown(client), serverShown: shown(server), clientTitle: title(client), serverTitle: title(server),
    clientHost: client.host || "", serverHost: server.host || "",
    isNew: !!link.fresh, first: ago(link.firstSeen, now), last: ago(link.lastSeen, now),
    searched: [title(client), client.project, title(server), server.project, link.port, link.via, link.evidence, link.live ? "live" : "past"].join(" ").toLowerCase(),
  };
}
