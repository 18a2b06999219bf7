// The overview stands beside the map while nothing is selected. It answers what users ask first about the whole map, whatever the
// filters show: a filter must not hide the callers of a database.
import { button, html, updateChildren } from "./html.js";
import { displayName, formatAgo, formatCount, formatNumber, isUnnamedExternal, qualifiedName } from "./format.js";
import { findChanges, findExposed, findStores, findUnreadable } from "./summary.js";

const lineHeight = 20, titleHeight = 27; // px

const minRows = 2, maxNames = 4;

/** Overview shows the overview in an element. on has goToNode, showPanel and closeOverview. */
export class Overview {
  #element;
  #on;
  #opened = new Set(); // the sections and kinds of stores that show everything
  #rows = new Map(); // of sections, by their IDs
  #nameOf = displayName;
  #latest = null;

  constructor(element, on) {
    this.#element = element;
    this.#on = on;
  }

  /**
   * update shows the overview of a state: nodes and links without groups, targets, the time in ms and whether it is past, how far back
   * changes count in seconds, and dataSince, the time of the first map.
   */
  update(state) {
    this.#latest = state;
    const found = find(state), { clientHeight } = this.#element;
    this.#nameOf = distinctNames(state.nodes);
    const wanted = { stores: new Set(found.stores.map((s) => s.product)).size, exposed: found.exposed.length, changes: found.changes.length, unreadable: found.bad.length + found.reasons.length };
    for (let lines = Math.floor(clientHeight / lineHeight - (4 * titleHeight) / lineHeight); ; lines--) {
      this.#rows = share(lines, wanted);
      this.#draw(found);
      if (this.#opened.size || this.#element.scrollHeight <= clientHeight || lines <= 4 * minRows) break;
    }
  }

  #draw(found) {
    updateChildren(this.#element,
      button("×", this.#on.closeOverview, { className: "close", title: "Close", "aria-label": "Close the overview" }),
      this.#stores(found), this.#exposed(found), this.#changes(found), this.#unreadable(found));
  }

  /** #toggle shows all of a section or kind, or only its beginning. */
  #toggle(id) {
    if (!this.#opened.delete(id)) this.#opened.add(id);
    this.update(this.#latest);
  }

  /** #link returns a button that goes to a node. */
  #link = (node, name = this.#nameOf(node)) => button(name, () => this.#on.goToNode(node.id), { className: "link" });

  /** #shortName returns a function that names nodes as seen from another one: those of its project by their service. */
  #shortName = (from) => (node) => {
    if (isUnnamedExternal(node)) return `external ${node.name}`;
    return node.service && node.project === from.project && node.host === from.host ? node.service : this.#nameOf(node);
  };

  /** #section returns a titled list. It has as many rows as fit until the user asks for all. */
  #section(id, title, things, row, none, note) {
    const isOpen = this.#opened.has(id), rows = this.#rows.get(id), isLong = things.length > rows, shown = isLong && !isOpen ? things.slice(0, rows) : things;
    return html("section", { dataset: { id } },
      html("h2", {}, title),
      isLong && button(isOpen ? "Show less" : "Show all", () => this.#toggle(id), { className: "link all", "aria-expanded": String(isOpen), dataset: { id: `all-${id}` } }),
      things.length ? html("ul", {}, shown.map(row)) : html("p", {}, none),
      note && html("p", { className: "about" }, note));
  }

  /** #stores lists the stores, or their kinds if they are many. */
  #stores({ stores }) {
    const kinds = [...Map.groupBy(stores, (s) => s.product.name)], isFew = stores.length <= this.#rows.get("stores");
    return this.#section("stores", `Databases, caches, queues (${formatNumber(stores.length)})`, isFew ? stores.map((s) => [s.product.name, [s]]) : kinds,
      ([name, of]) => (of.length > 1 ? this.#kindRow(name, of) : this.#storeRow(of[0])), "No container calls one of the known kinds.");
  }

  /** #kindRow summarizes the stores of one kind, and lists them if the user asks for them. */
  #kindRow(name, stores) {
    const callers = [...new Set(stores.flatMap((s) => s.callers.filter((c) => c.isLive).map((c) => c.node)))], isOpen = this.#opened.has(name);
    return html("li", { dataset: { id: name } },
      button(`${name} ×${formatNumber(stores.length)}`, () => this.#toggle(name), { className: "link", "aria-expanded": String(isOpen) }),
      callers.length ? [arrow(" ← "), nameAll(callers, (n) => (isUnnamedExternal(n) ? "external addresses" : n.service || displayName(n)))] : ", no caller now",
      isOpen && html("ul", {}, stores.map((s) => this.#storeRow(s))));
  }

  /** #exposed lists the ports at which hosts are reached. */
  #exposed({ exposed, isOneHost }) {
    const open = exposed.filter((e) => !e.isLocal), local = exposed.length - open.length;
    return this.#section("exposed", `Exposed ports (${formatNumber(open.length)})`, open, (e) => this.#exposedRow(e, isOneHost),
      "No port of a host leads to a container.", local > 0 && `${formatCount(local, "port")} on loopback only`);
  }

  /** #changes lists what changed, the latest first. */
  #changes({ changes, seconds, time, isPast, start }) {
    const counts = ["new", "replaced", "gone"].map((what) => [what, changes.filter((c) => c.what === what).length]).filter(([, n]) => n).map(([what, n]) => `${formatNumber(n)} ${what}`);
    const span = seconds < 3600 ? `${formatNumber(Math.ceil(seconds / 60))} min` : "hour", title = isPast ? `Changed in the ${span} before` : `Changed in the last ${span}`;
    return this.#section("changes", title + (counts.length ? ` (${counts.join(", ")})` : ""), changes, (c) => this.#changeRow(c, time), "No changes.",
      start > time - 1000 * seconds && `The data begins ${formatAgo(new Date(start).toISOString(), time)}.`);
  }

  /** #unreadable lists what is not readable, and counts the containers that only commands read. */
  #unreadable({ bad, reasons, byCommands }) {
    const rows = [
      ...bad.map((t) => ({ id: t.target, name: t.target, text: t.reason || t.state, panel: "targets" })),
      ...reasons.map(({ reason, nodes }) => ({ id: reason, name: nameAll(nodes, this.#nameOf, 2), text: reason, panel: "incomplete" })),
    ];
    return this.#section("unreadable", "Not or partly readable", rows, ({ id, name, text, panel }) => html("li", { dataset: { id } }, `${text}: `, button(name, () => this.#on.showPanel(panel), { className: "link" })),
      "Everything about all containers could be read.", byCommands > 0 && `${formatCount(byCommands, "container")} read by commands: short connections are missed.`);
  }

  /** #storeRow writes a store and its callers. */
  #storeRow({ node, product, ports, callers }) {
    const live = callers.filter((c) => c.isLive).map((c) => c.node), past = callers.filter((c) => !c.isLive).map((c) => c.node);
    const by = [live.length > 0 && nameAll(live, this.#shortName(node)), past.length > 0 && `earlier ${nameAll(past, this.#shortName(node))}`].filter(Boolean).join("; ");
    return html("li", { dataset: { id: node.id } }, this.#link(node), about(` ${[product.name, ...ports.map((p) => `:${p}`)].join(" ")}`), by ? [arrow(" ← "), by] : ", no caller seen");
  }

  /** #exposedRow writes a port of one or several hosts. isOneHost: the map has no other. */
  #exposedRow({ port, inside, nodes, hosts, clients }, isOneHost) {
    const [first] = nodes, host = isOneHost ? "" : hosts > 1 ? `${formatCount(hosts, "host")} ` : first.host;
    return html("li", { dataset: { id: `${port} ${inside} ${first.id}` } }, html("b", {}, `${host}:${port}`), " → ", this.#link(first, displayName(first)), inside !== port && about(` :${inside}`), nodes.length > hosts && ` and ${formatCount(nodes.length - 1, "other")}`,
      clients.length > 0 && about(` ← ${clients.length > 1 ? `${formatNumber(clients.length)} external` : displayName(clients[0])}`));
  }

  /** #changeRow writes one change. */
  #changeRow(change, time) {
    const { what, node, links, client, clients, servers } = change, ago = about(`, ${formatAgo(new Date(change.time).toISOString(), time)}`), verb = html("b", {}, `${what} `);
    if (node) {
      const from = what === "replaced" ? imageChange(node.predecessors[0].image, node.image) : "";
      return html("li", { className: `change-${what}`, dataset: { id: node.id } }, verb, this.#link(node), from, links > 0 && `, ${formatCount(links, "link")}${what === "replaced" ? " changed" : ""}`, ago);
    }
    const [first] = servers;
    return html("li", { className: `change-${what}`, dataset: { id: `${what} ${client ? client.id : `${first.node.id} ${first.port}`}` } }, verb, client ? this.#link(client) : formatCount(clients.size, "external client"), arrow(" → "),
      this.#link(first.node, client ? this.#shortName(client)(first.node) : undefined), ` :${first.port}`, servers.length > 1 && ` and ${formatCount(servers.length - 1, "other")}`, ago);
  }
}

/** find returns what the overview shows of a state. */
function find(state) {
  const { nodes, targets, time, isPast, seconds, dataSince } = state;
  return {
    time, isPast, seconds, start: Date.parse(dataSince), isOneHost: new Set(nodes.map((n) => n.host).filter(Boolean)).size < 2,
    stores: findStores(state), exposed: findExposed(state), changes: findChanges(state, { since: time - 1000 * seconds, until: isPast ? time : Infinity, dataSince }), reasons: findUnreadable(nodes),
    bad: targets.filter((t) => t.state === "stale" || t.state === "failed"), byCommands: nodes.filter((n) => n.details?.method === "exec" && !n.past).length,
  };
}

const arrow = (text) => html("b", {}, text);
const about = (text) => html("span", { className: "about" }, text);

/** distinctNames returns a function that names nodes, with their hosts where several have one name. */
function distinctNames(nodes) {
  const all = Map.groupBy(nodes, displayName);
  return (node) => (all.get(displayName(node))?.length > 1 ? qualifiedName(node) : displayName(node));
}

/** imageChange writes how an image changed: only the versions if it is the same but for them. */
function imageChange(before = "", after = "") {
  const name = after.replace(/:[^/:]*$/, "");
  if (before === after) return "";
  return before.replace(/:[^/:]*$/, "") === name ? `, ${before.slice(name.length + 1) || "latest"} → ${after.slice(name.length + 1) || "latest"}` : `, ${before || "unknown"} → ${after || "unknown"}`;
}

/** share gives lines to sections that want some: each gets minRows first, and what one does not need goes to the others. */
function share(lines, wanted) {
  const rows = new Map(Object.keys(wanted).map((id) => [id, minRows]));
  for (let free = lines - 4 * minRows; free > 0;) {
    const needy = Object.keys(wanted).filter((id) => wanted[id] > rows.get(id)).slice(0, free);
    if (!needy.length) break;
    needy.forEach((id) => rows.set(id, rows.get(id) + 1));
    free -= needy.length;
  }
  return rows;
}

/** nameAll names some nodes, and counts the others. Equal names are one. */
function nameAll(nodes, nameOf, max = maxNames) {
  const names = [...Map.groupBy(nodes, nameOf)].sort(([, a], [, b]) => b.length - a.length).map(([name, of]) => (of.length > 1 ? `${name} ×${formatNumber(of.length)}` : name));
  return names.slice(0, max).join(", ") + (names.length > max ? ` and ${formatNumber(names.length - max)} more` : "");
}
