// The overview stands beside the map while nothing is selected. It answers what users ask first about the whole map, whatever the
// filters show: a filter must not hide the callers of a database.
import { button, html, updateChildren } from "./html.js";
import { displayName, formatAgo, formatCount, formatEndpoint, formatNumber, formatTime, isUnnamedExternal, nameDistinctly, splitImage } from "./format.js";
import { findChanges, findExposed, findReadByCommands, findStores, findUnreadable, findWithoutData, hasUnknownPorts } from "./summary.js";

const lineHeight = 20, titleHeight = 27; // px

const minRows = 2, maxNames = 4, maxPorts = 3;

const maxStores = 12; // that are listed one by one

/** Overview shows the overview in an element. on has goToNode, showPanel and closeOverview. */
export class Overview {
  #element;
  #on;
  #opened = new Set(); // the sections and kinds of stores that show everything
  #rows = new Map(); // of sections, by their IDs
  #fitted = { key: "", lines: 0 }; // the lines that had room, and what they had room for
  #nameOf = displayName;
  #state = null;

  constructor(element, on) {
    this.#element = element;
    this.#on = on;
  }

  /**
   * update shows the overview of a state, if it has room: the graph, its time in ms, then with the nodes and links of the shown time at in ms, noDataBefore
   * in ms or 0, seconds, which is how far back changes count, and start, the time in ms of the first data.
   */
  update(state) {
    this.#state = state;
    if (!this.#element.offsetHeight) return; // hidden
    if (state.noDataBefore) return updateChildren(this.#element, this.#close(), html("p", {}, `No data before ${formatTime(state.noDataBefore, state.time)}.`));
    const found = find(state), { clientHeight, clientWidth } = this.#element;
    this.#nameOf = nameDistinctly(state.graph.nodes);
    const things = Object.values(found).map((f) => f.length ?? 0), key = [clientHeight, clientWidth, ...things].join(" "), all = Math.floor((clientHeight - 4 * titleHeight) / lineHeight);
    let lines = this.#fitted.key === key ? this.#fitted.lines : all;
    for (; ; lines--) {
      this.#rows = share(lines, found);
      this.#draw(found);
      if (this.#opened.size || this.#element.scrollHeight <= clientHeight || lines <= 4 * minRows) break;
    }
    this.#fitted = { key, lines };
  }

  #draw(found) {
    updateChildren(this.#element, this.#close(), this.#stores(found), this.#exposed(found), this.#changes(found), this.#unreadable(found));
  }

  #close = () => button("×", this.#on.closeOverview, { className: "close", title: "Close", "aria-label": "Close the overview" });

  /** #toggle shows all of a section or kind, or only its beginning. */
  #toggle(id) {
    if (!this.#opened.delete(id)) this.#opened.add(id);
    this.update(this.#state);
  }

  /** #link returns a button that goes to a node. */
  #link = (node, name = this.#nameOf(node)) => button(name, () => this.#on.goToNode(node.id), { className: "link", dataset: { id: node.id } });

  /** #shortName returns a function that names nodes as seen from another one: those of its project by their service. */
  #shortName = (from) => (node) => {
    if (isUnnamedExternal(node)) return `external ${node.name}`;
    return node.service && node.project === from.project && node.host === from.host ? node.service : this.#nameOf(node);
  };

  /** #section returns a titled list. It has as many rows as fit until the user asks for all. */
  #section(id, title, things, row, none, ...notes) {
    const isOpen = this.#opened.has(id), rows = this.#rows.get(id), shown = isOpen ? things : things.slice(0, rows);
    return html("section", { dataset: { id } },
      html("h2", {}, title),
      (isOpen || things.length > rows) && button(isOpen ? "Show less" : "Show all", () => this.#toggle(id), { className: "link all", "aria-expanded": String(isOpen), dataset: { id: `all-${id}` } }),
      things.length ? html("ul", {}, shown.map(row)) : html("p", {}, none),
      notes.filter(Boolean).map((note) => html("p", { className: "about" }, note)));
  }

  /** #stores lists the stores, or their kinds if they are many. */
  #stores({ stores, storeRows }) {
    return this.#section("stores", `Databases, caches, queues (${formatNumber(stores.length)})`, storeRows, (of) => (of.length > 1 ? this.#kindRow(of[0].product.name, of) : this.#storeRow(of[0])),
      "No container calls one of the known kinds.");
  }

  /** #kindRow summarizes the stores of one kind, and lists them if the user asks for them. */
  #kindRow(name, stores) {
    const isOpen = this.#opened.has(name), all = (use) => new Set(stores.flatMap((s) => s[use])), live = all("live"), past = all("past").difference(live), unanswered = all("unanswered").difference(live), refused = all("refused").difference(live);
    return html("li", { dataset: { id: name } },
      button(`${name} ×${formatNumber(stores.length)}`, () => this.#toggle(name), { className: "link", "aria-expanded": String(isOpen), dataset: { id: `all-${name}` } }),
      callersOf({ live, past, unanswered, refused }, (n) => (isUnnamedExternal(n) ? "external addresses" : n.service || displayName(n))),
      isOpen && html("ul", {}, stores.map((s) => this.#storeRow(s))));
  }

  /** #exposed lists the ports at which containers are reached from outside. */
  #exposed({ exposed, local, unknown, isOneHost, isPast }) {
    const count = (ports) => ports.reduce((sum, e) => sum + e.ports.length, 0);
    return this.#section("exposed", `Exposed ports${isPast ? " now" : ""} (${formatNumber(count(exposed))})`, exposed, (e) => this.#exposedRow(e, isOneHost),
      unknown ? "No known port of a host leads to a container." : "No port of a host leads to a container.",
      local.length > 0 && `${formatCount(count(local), "port")} on loopback only`, unknown > 0 && `${formatCount(unknown, "container")} with unknown ports`);
  }

  /** #changes lists what changed, the latest first. */
  #changes({ changes, seconds, at, isPast, start }) {
    const counts = ["new", "replaced", "gone"].map((what) => [what, changes.filter((c) => c.what === what).length]).filter(([, n]) => n).map(([what, n]) => `${formatNumber(n)} ${what}`);
    const span = seconds < 3600 ? `${formatNumber(Math.ceil(seconds / 60))} min` : "hour", title = isPast ? `Changed in the ${span} before` : `Changed in the last ${span}`;
    const when = (time) => (isPast ? `at ${formatTime(time, at)}` : formatAgo(new Date(time).toISOString(), at));
    return this.#section("changes", title + (counts.length ? ` (${counts.join(", ")})` : ""), changes, (c) => this.#changeRow(c, when), "No changes.",
      start > at - 1000 * seconds && `The data begins ${when(start)}.`);
  }

  /** #unreadable lists what is not readable, or not completely. */
  #unreadable({ unreadable, isPast }) {
    return this.#section("unreadable", `Not or partly readable${isPast ? " now" : ""}`, unreadable,
      ({ id, name, nodes, text, panel }) => html("li", { dataset: { id } }, `${text}: `, button(name ?? nameAll(nodes, this.#nameOf, 2), () => this.#on.showPanel(panel), { className: "link" })),
      "Everything about all containers could be read.");
  }

  /** #storeRow writes a store and its callers. */
  #storeRow(store) {
    const { node, product, ports } = store;
    return html("li", { dataset: { id: node.id } }, this.#link(node), about(` ${[product.name, ...ports.map((p) => `:${p}`)].join(" ")}`), callersOf(store, this.#shortName(node)));
  }

  /** #exposedRow writes the ports by which a port of a container is reached. isOneHost: the map has no other host. */
  #exposedRow({ id, ports, inside, addresses, isOwn, nodes, hosts, clients }, isOneHost) {
    const [first] = nodes, host = isOneHost || isOwn ? "" : hosts > 1 ? `${formatCount(hosts, "host")} ` : first.host, more = ports.length - maxPorts;
    const at = ports.slice(0, maxPorts).map((port, i) => (i || !addresses.length ? `:${port}` : formatEndpoint({ address: addresses[0], port }))).join(", ") + (more > 0 ? ` and ${formatNumber(more)} more` : "");
    const others = addresses.length > 1 ? ` and ${formatCount(addresses.length - 1, "other address", "other addresses")}` : "";
    return html("li", { dataset: { id } }, html("b", {}, [host, at].join(host && addresses.length ? " " : "") + others), " → ", this.#link(first, displayName(first)), (ports.length > 1 || inside !== ports[0]) && about(` :${inside}`),
      nodes.length > hosts && ` and ${formatCount(nodes.length - 1, "other")}`, clients.length > 0 && about(` ← ${clients.length === 1 ? displayName(clients[0]) : clients.every((n) => n.kind === "external") ? `${formatNumber(clients.length)} external` : `${formatNumber(clients.length)} clients`}`));
  }

  /** #changeRow writes one change. when writes its time. */
  #changeRow({ id, what, time, node, links, client, clients, servers }, when) {
    const ago = [", ", html("span", { className: "about whole" }, when(time))], verb = html("b", {}, `${what} `), row = (...content) => html("li", { className: `change-${what}`, dataset: { id } }, verb, content, ago);
    if (node) return row(this.#link(node), what === "replaced" && imageChange(node.predecessors[0].image, node.image), links > 0 && `, ${formatCount(links, "link")}${what === "replaced" ? " changed" : ""}`);
    const [first] = servers;
    return row(client ? this.#link(client) : formatCount(clients.size, "external client"), arrow(" → "),
      this.#link(first.node, client ? this.#shortName(client)(first.node) : undefined), ` :${first.port}`, servers.length > 1 && ` and ${formatCount(servers.length - 1, "other")}`);
  }
}

/** find returns what the overview shows of a state. Ports and reasons are known of the present alone. */
function find({ graph, then, at, time, seconds, start }) {
  const { nodes, targets, dataSince } = graph, isPast = at < time, stores = findStores(then), ports = findExposed(graph), byCommands = findReadByCommands(nodes);
  return {
    at, isPast, seconds, start, isOneHost: new Set(nodes.map((n) => n.host).filter(Boolean)).size < 2,
    stores, storeRows: stores.length > maxStores ? [...Map.groupBy(stores, (s) => s.product.name).values()] : stores.map((s) => [s]),
    exposed: ports.filter((e) => !e.isLocal), local: ports.filter((e) => e.isLocal), unknown: nodes.filter(hasUnknownPorts).length,
    changes: findChanges(then, { since: at - 1000 * seconds, until: isPast ? at : Infinity, dataSince }),
    unreadable: [
      ...findWithoutData(targets).map((t) => ({ id: `target ${t.target}`, name: t.target, text: t.reason || t.state, panel: "targets" })),
      ...findUnreadable(nodes).map(({ reason, nodes: of }) => ({ id: `reason ${reason}`, nodes: of, text: reason, panel: "incomplete" })),
      ...(byCommands.length ? [{ id: "commands", name: formatCount(byCommands.length, "container"), text: "read by commands, which may miss short connections", panel: "incomplete" }] : []),
    ],
  };
}

/** callersOf writes the callers of stores by use. */
function callersOf({ live, past, unanswered, refused }, nameOf) {
  const parts = [["", live], ["earlier ", past], ["no answer for ", unanswered], ["refused ", refused]].map(([word, callers]) => [word, [...callers]]).filter(([, callers]) => callers.length);
  return parts.length ? [arrow(" ← "), parts.map(([word, callers]) => word + nameAll(callers, nameOf)).join("; ")] : ", no caller seen";
}

const arrow = (text) => html("b", {}, text);
const about = (text) => html("span", { className: "about" }, text);

/** imageChange writes how an image changed: only the tags, or else the digests, if the rest is the same. */
function imageChange(before = "", after = "") {
  if (before === after) return "";
  const [old, next] = [before, after].map(splitImage), digest = (image) => image.digest.replace(/^sha256:/, "").slice(0, 12) || "no digest";
  if (old.path !== next.path) return `, ${before || "unknown"} → ${after || "unknown"}`;
  return old.tag === next.tag ? `, ${digest(old)} → ${digest(next)}` : `, ${old.tag || "latest"} → ${next.tag || "latest"}`;
}

/** share gives lines to the sections: each gets minRows first, and what one does not need goes to the others. */
function share(lines, { storeRows, exposed, changes, unreadable }) {
  const lists = { stores: storeRows, exposed, changes, unreadable }, rows = new Map(Object.keys(lists).map((id) => [id, minRows]));
  for (let free = lines - 4 * minRows; free > 0;) {
    const needy = Object.keys(lists).filter((id) => lists[id].length > rows.get(id)).slice(0, free);
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
