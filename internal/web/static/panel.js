// The side panel: what is known of a node, a line, the targets, or what could not be read.
import { button, html } from "./html.js";
import { ago, bytes, count, endpoint, isGroup, linkText, nameOf, number, placed, portsOf } from "./names.js";
import { groupsHolding, keyOf } from "./view.js";

const seenBy = { both: "both halves were seen", client: "only the client's half was seen", server: "only the server's half was seen" };
const ways = { direct: "at the server's own address", published: "at a port that its host publishes", host: "at its host's address", loopback: "over loopback" };
const methods = { sockdiag: "netlink in its network namespace", procfs: "the host's /proc", exec: "a command in the container", none: "not at all" };

/** remedyOf says what would let all of a node be seen. With the host's /proc each container can be read that does not restart. */
function remedyOf({ name, reason, details }) {
  if (!reason) return "";
  if (/restarting/.test(reason)) return `See why it restarts: docker logs ${name}`;
  if (details?.method === "none" || details?.method === "exec") {
    return `Mount the host's /proc to see this ${/image/.test(reason) ? "image" : "container"}: -v /proc:/host/proc:ro. If that is done, Outpost's log says more`;
  }
  if (/owner|other/.test(reason)) return "Start Outpost in the third or fourth way of its README, which tell whose socket is whose";
  return "Outpost's log on that host says more";
}

const list = (items) => html("ul", {}, items.map((i) => html("li", {}, i)));
const facts = (pairs) => html("dl", {}, pairs.filter(([, value]) => value && value.length !== 0).map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));

/** nodePanel tells of a node. on has select, open, close, neighbours. links are those that are shown. */
export function nodePanel(node, { links, nodes }, graph, now, on) {
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const inward = links.filter((l) => l.server === node.id), outward = links.filter((l) => l.client === node.id);
  const details = node.details;
  return [
    html("h2", {}, nameOf(node)),
    node.reason && html("div", { className: "trouble" }, html("p", {}, `Not all of it could be read: ${node.reason}.`), html("p", {}, remedyOf(node) + ".")),
    node.stale && html("p", { className: "trouble" }, "Its host does not answer of late; this is what it said last."),
    node.past && html("p", {}, "It is not there any more."),
    html("p", { className: "actions" },
      button("Only its neighbours", () => on.neighbours(node.id)),
      isGroup(node) && button("Open the group", () => on.open(node.id)),
      ...(isGroup(node) ? [] : groupsHolding(node).map((id) => button(`Put together: ${id.split("/").map(decodeURIComponent).join(" ")}`, () => on.close(id), { className: "minor" })))),
    facts([
      ["Kind", isGroup(node) ? `group of ${count(node.members, "node")} by ${node.kind}` : node.kind],
      ["Image", node.image], ["Host", node.host], ["Project", node.project], ["Service", node.service],
      ["Container", node.container && node.container.slice(0, 12)],
      ["Publishes", isGroup(node) && portsOf(node).map((port) => `:${port}`).join(", ")],
      ["Networks", details && list(details.networks.map((n) => [n.name, n.addresses.length ? ` ${n.addresses.join(", ")}` : ""].join("")))],
      ["Listening", details && (details.listening.length ? list(details.listening.map(listener)) : details.status === "ok" ? "nowhere" : "not known")],
      ["Read by", details && `${details.method}: ${methods[details.method] || ""}`],
      ["Not by", details && details.unused.length > 0 && list(details.unused.map((u) => `${u.method}: ${u.reason}`))],
      ["One of", node.candidates && list(node.candidates.map((id) => nameOf(graph.nodes.find((n) => n.id === id) || { name: id })))],
    ]),
    linkList("Called by", inward, (l) => byID.get(l.client), now, on),
    linkList("Calls", outward, (l) => byID.get(l.server), now, on),
  ];
}

function listener({ address, port, published, process }) {
  const out = published.map(endpoint).join(", ");
  return endpoint({ address, port }) + (out ? ` published at ${out}` : "") + (process ? ` (${process})` : "");
}

function linkList(heading, links, otherOf, now, on) {
  return links.length > 0 && [
    html("h3", {}, `${heading} (${number(links.length)})`),
    html("ul", {}, links.slice(0, 100).map((l) => {
      const other = otherOf(l);
      return html("li", { dataset: { id: keyOf(l) } }, nodeButton(other, () => on.select("node", other.id)), ` ${linkText(l, now)}`);
    })),
    links.length > 100 && html("p", {}, `and ${number(links.length - 100)} more, in the table`),
  ];
}

/** nodeButton leads to a node. */
const nodeButton = (node, onclick) => button(nameOf(node), onclick, { className: "link", dataset: { id: node.id } });

/** linePanel tells of the links of a line. */
export function linePanel(line, { nodes }, now, on) {
  const node = (id) => nodes.find((n) => n.id === id);
  const end = (id) => [nodeButton(node(id), () => on.select("node", id)), placed(node(id)).slice(nameOf(node(id)).length)];
  return [
    html("h2", {}, nameOf(node(line.from)), " → ", nameOf(node(line.to))),
    html("p", {}, "Client: ", end(line.from), html("br"), "Server: ", end(line.to)),
    line.links.map((l) => html("section", { dataset: { id: keyOf(l) } },
      html("h3", {}, `Port ${l.port}, ${l.via}`),
      facts([
        ["Connections", l.uncounted ? "of that time, not known" : l.live ? number(l.connections) : "none now"], ["Ended in the last minute", l.closed ? number(l.closed) : ""],
        ["Reached", ways[l.via]], ["Seen", seenBy[l.evidence]],
        ["First seen", ago(l.firstSeen, now)], ["Last seen", ago(l.lastSeen, now)],
        ["Round trip", l.measured && `${(l.measured.rttMicroseconds / 1000).toFixed(2)} ms`],
        ["Sent by the client", l.measured && bytes(l.measured.bytesSent)], ["Received", l.measured && bytes(l.measured.bytesReceived)],
      ]))),
  ];
}

const targetRemedies = {
  stale: "It is asked again. What it said last stays in the map until OUTPOST_STALE_AFTER.", failed: "Is Outpost running there, and can this host reach it?",
  duplicate: "Name each host once.", pending: "It has not been asked yet.",
};

/** targetsPanel tells of the targets that are not as they should be, and of the others. */
export function targetsPanel({ targets }, now) {
  const bad = targets.filter((t) => t.state !== "ok" || t.reason), good = targets.filter((t) => !bad.includes(t));
  return [
    html("h2", {}, "Targets"),
    bad.map((t) => html("section", { className: "trouble" }, html("h3", {}, `${t.target}: ${t.state}`), html("p", {}, t.reason ? t.reason + ". " : "", targetRemedies[t.state] || ""),
      t.lastAnswer && Date.parse(t.lastAnswer) > 0 && html("p", {}, `Last answer ${ago(t.lastAnswer, now)}.`))),
    good.length > 0 && [html("h3", {}, "These answer"), list(good.map((t) => t.target + (t.host && t.host !== t.target ? ` (${t.host})` : "")))],
  ];
}

const mostUnread = 200;

/** unreadPanel tells of the containers of which something could not be read. */
export function unreadPanel({ nodes }, on) {
  const unread = nodes.filter((n) => n.reason);
  return [
    html("h2", {}, "Not wholly read"),
    unread.slice(0, mostUnread).map((n) => html("section", { className: "trouble", dataset: { id: n.id } },
      html("h3", {}, nodeButton(n, () => on.jump(n.id)), n.host ? ` on ${n.host}` : ""),
      html("p", {}, `${n.image || ""}: ${n.reason}.`), html("p", {}, remedyOf(n) + "."))),
    unread.length > mostUnread && html("p", {}, `and ${number(unread.length - mostUnread)} more, which Outpost's log names`),
  ];
}
