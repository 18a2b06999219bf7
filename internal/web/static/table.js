// The table of the shown links: the content of the map for reading, sorting and copying.
import { html, patch, setText } from "./html.js";
import { countUse, formatUse, linkState } from "./activity.js";
import { isGone } from "./changes.js";
import { bytesOf, formatFailed, formatRoundTrip, roundTripOf } from "./counters.js";
import { compareNatural, displayName, escapeFormula, formatAgo, formatBytes, formatCount, formatNumber, formatPort, nameDistinctly, truncate } from "./format.js";
import { linkKey } from "./view.js";

const pageSize = 200; // rows
const maxNameLength = 36; // letters; screen readers get the full name
const compare = (a, b) => (typeof a === "number" ? a - b : compareNatural(a, b));

/** stateNames are the states of links in the order of the table. */
const stateNames = { failed: "failed", active: "live", idle: "idle", past: "past" };

const bytesHelp = "Counted of connections that ended, and measured of open ones.";
const hasRoundTrip = (r) => roundTripOf(r.link) !== undefined;

/**
 * columns have the text of a cell, the shown text if that is too long, and the sort key if it is not the text. help explains a
 * column; minor columns are hidden at first.
 */
const columns = [
  { name: "Client", text: (r) => r.client, shown: (r) => r.clientShown, title: (r) => r.clientTitle },
  { name: "Server", text: (r) => r.server, shown: (r) => r.serverShown, title: (r) => r.serverTitle },
  { name: "Port", text: (r) => formatPort(r.link), by: (r) => r.link.port, numeric: true },
  { name: "Connections", short: "Conn.", text: (r) => formatUse(r.link), by: (r) => countUse([r.link]), numeric: true, help: "Without an open connection: the number of those that ended within the last minute." },
  {
    name: "Via", sort: "route", className: "via", text: (r) => r.link.via,
    help: "How the client reaches the server: direct (its own address), published (a port of its host), host (the address of its host), loopback, or resolver (the DNS resolver of the engine).",
  },
  { name: "Seen by", className: "seen-by", text: (r) => r.link.evidence + (r.link.directionUnknown ? ", direction unknown" : ""), help: "Which ends of the connections were observed: both, only the client or only the server. Direction unknown: each end may have dialled some of the connections." },
  {
    name: "State", text: (r) => (r.isNew ? "new, " : "") + (r.isGone ? "gone" : stateNames[r.state]),
    by: (r) => (r.isNew ? 0 : r.isGone ? 1 : 2 + Object.keys(stateNames).indexOf(r.state)), help: "Failed: the server refuses or does not answer. Idle: no data has passed for a minute. Past: not seen for three intervals.",
  },
  { name: "Client's host", minor: true, text: (r) => r.clientHost, shown: (r) => truncate(r.clientHost, maxNameLength) },
  { name: "Server's host", minor: true, text: (r) => r.serverHost, shown: (r) => truncate(r.serverHost, maxNameLength) },
  { name: "Opened", minor: true, text: (r) => (r.link.counters ? formatNumber(r.link.counters.opened) : ""), by: (r) => r.link.counters?.opened ?? -1, numeric: true, help: "All connections opened, also the shortest." },
  {
    name: "Failed", minor: true, text: (r) => (r.link.counters && !r.link.protocol ? formatNumber(r.link.counters.failed) : ""), title: (r) => (r.link.counters?.failed ? formatFailed(r.link.counters) : ""),
    by: (r) => r.link.counters?.failed ?? -1, numeric: true, help: "Failed dials: refused, or without an answer.",
  },
  { name: "Round trip", minor: true, text: (r) => (hasRoundTrip(r) ? formatRoundTrip(roundTripOf(r.link)) : ""), by: (r) => roundTripOf(r.link) ?? -1, numeric: true },
  { name: "Sent", minor: true, text: (r) => (bytesOf(r.link) ? formatBytes(bytesOf(r.link).bytesSent) : ""), by: (r) => bytesOf(r.link)?.bytesSent ?? -1, numeric: true, help: bytesHelp },
  { name: "Received", minor: true, text: (r) => (bytesOf(r.link) ? formatBytes(bytesOf(r.link).bytesReceived) : ""), by: (r) => bytesOf(r.link)?.bytesReceived ?? -1, numeric: true, help: bytesHelp },
  { name: "First seen", minor: true, text: (r) => r.first, by: (r) => r.link.firstSeen },
  { name: "Last seen", minor: true, text: (r) => r.last, by: (r) => r.link.lastSeen },
];

export class LinkTable {
  #rows = [];
  #shown = []; // the filtered rows in order
  #kept = new Map(); // the elements of rows by the keys of links
  #maxRows = pageSize;
  #columns = [];
  #selected = new Set();
  filter = [];
  sort = "";

  /** root contains the table and its tools; on has select(key), point(key), which is empty when the pointer leaves, and sort(text). */
  constructor(root, on) {
    this.on = on;
    this.table = root.querySelector("table");
    this.body = root.querySelector("tbody");
    this.counted = root.querySelector("#table-count");
    this.more = root.querySelector("#more");
    this.more.onclick = () => {
      this.#maxRows += 5 * pageSize;
      this.#render();
    };
    this.body.addEventListener("click", (e) => this.#choose(e));
    this.body.addEventListener("pointerover", (e) => on.point(e.target.closest("tr")?.dataset.key ?? ""));
    this.body.addEventListener("pointerleave", () => on.point(""));
    this.body.addEventListener("keydown", (e) => {
      if (e.key === "Enter" || e.key === " ") this.#choose(e);
      else if (e.key === "ArrowDown") e.target.closest("tr").nextElementSibling?.focus();
      else if (e.key === "ArrowUp") e.target.closest("tr").previousElementSibling?.focus();
      else return;
      e.preventDefault();
    });
  }

  /** update sets the links. select shows those that match all words of filter, in the order of sort, such as "Port" or "-Port". */
  update({ links, nodes }, { filter, sort, now, columns: which }) {
    this.table.classList.toggle("all", which === "all");
    this.#columns = columns.filter((c) => !c.minor || which === "all");
    const byID = new Map(nodes.map((n) => [n.id, n]));
    const nameOf = nameDistinctly(nodes);
    this.#rows = links.map((link) => buildRow(link, byID, nameOf, now));
    this.filter = filter.toLowerCase().split(/\s+/).filter(Boolean);
    this.sort = sort;
  }

  /**
   * select renders the rows and highlights those with the keys. With scroll it scrolls to the first of these, and with alone it renders
   * no others.
   */
  select(keys, { scroll, alone }) {
    this.#selected = new Set(keys);
    this.#shown = this.#filterAndSort().filter((r) => !alone || this.#selected.has(r.key));
    const index = this.#shown.findIndex((r) => this.#selected.has(r.key));
    if (index >= this.#maxRows) this.#maxRows = index + pageSize;
    this.#render();
    if (scroll && index >= 0) this.body.children[index]?.scrollIntoView({ block: "nearest" });
  }

  /** text returns the shown table as tab-separated text. */
  text() {
    const lines = this.#shown.map((r) => this.#columns.map((c) => escapeFormula(c.text(r)).replace(/[\t\n\r]/g, " ")).join("\t"));
    return [this.#columns.map((c) => c.name).join("\t"), ...lines].join("\n") + "\n";
  }

  /** #filterAndSort returns the matching rows in order: without a chosen order, what is new or gone comes first. */
  #filterAndSort() {
    const rows = this.#rows.filter((r) => this.filter.every((word) => r.searched.includes(word)));
    const name = this.sort.replace(/^-/, "");
    const column = columns.find((c) => c.name === name);
    if (!column) return [...rows.filter(isChanged), ...rows.filter((r) => !isChanged(r))];
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
    this.#renderRows(this.#shown.slice(0, this.#maxRows));
    const { length } = this.#shown;
    const left = length - this.#maxRows;
    this.more.hidden = left <= 0;
    this.more.textContent = `${formatNumber(Math.max(0, left))} more rows: show the next`;
    setText(this.counted, length === this.#rows.length ? formatCount(length, "link") : `${formatNumber(length)} of ${formatCount(this.#rows.length, "link")}`);
    this.#renderHead();
  }

  /** #renderRows keeps the elements of existing rows: a row may have the focus or a text selection. */
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
    const row = focused.isConnected ? focused : this.body.rows[Math.min(index, rows.length - 1)]; // moving a row removes its focus
    row?.focus({ preventScroll: true });
  }

  #renderHead() {
    const row = this.table.querySelector("thead tr");
    if (row.children.length !== this.#columns.length) {
      row.replaceChildren(...this.#columns.map((c) => html("th", { scope: "col", className: classOf(c) },
        html("button", { type: "button", title: [`Sort by ${c.sort || c.name.toLowerCase()}.`, c.help].filter(Boolean).join(" "), onclick: () => this.#sortBy(c.name) }, c.short || c.name))));
    }
    this.#columns.forEach((c, i) => {
      const sorted = this.sort.replace(/^-/, "") === c.name;
      sorted ? row.children[i].setAttribute("aria-sort", this.sort.startsWith("-") ? "descending" : "ascending") : row.children[i].removeAttribute("aria-sort");
    });
  }

  #row(r, reachable) {
    const selected = this.#selected.has(r.key);
    const classes = [r.link.live ? "live" : "past", r.state, r.isNew ? "new" : "", r.isGone ? "gone" : "", r.link.evidence === "both" ? "" : "one-sided", selected ? "selected" : ""];
    return html("tr", { tabIndex: reachable ? 0 : -1, className: classes.filter(Boolean).join(" "), ...(selected && { "aria-current": "true" }), dataset: { key: r.key } },
      this.#columns.map((c) => cell(c, r)));
  }
}

const isChanged = (r) => r.isNew || r.isGone;

const classOf = (c) => (c.numeric ? "numeric" : c.className || (c.shown ? "long" : ""));

/** cell returns the element of a row in a column. */
function cell(c, r) {
  const text = c.text(r), shown = c.shown?.(r) ?? text;
  return html("td", { className: classOf(c), title: c.title?.(r) ?? "" },
    shown === text ? text : [html("span", { "aria-hidden": "true" }, shown), html("span", { className: "visually-hidden" }, text)]);
}

function buildRow(link, byID, nameOf, now) {
  const client = byID.get(link.client), server = byID.get(link.server);
  const shown = (n) => truncate(displayName(n), maxNameLength) + (nameOf(n) === displayName(n) ? "" : ` on ${truncate(n.host, maxNameLength)}`);
  const title = (n) => [displayName(n), n.image, n.host && `on ${n.host}`].filter(Boolean).join(", ");
  return {
    link, key: linkKey(link), client: nameOf(client), server: nameOf(server), clientShown: shown(client), serverShown: shown(server), clientTitle: title(client), serverTitle: title(server),
    clientHost: client.host || "", serverHost: server.host || "",
    state: linkState(link), isNew: !!link.newLinks, isGone: isGone(link), first: formatAgo(link.firstSeen, now), last: formatAgo(link.lastSeen, now),
    searched: [title(client), client.project, title(server), server.project, formatPort(link), link.via, link.evidence, link.live ? "live" : "past", linkState(link)].join(" ").toLowerCase(),
  };
}
