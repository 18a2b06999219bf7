// The side panel: details of a node, of a line, of the targets or of the incomplete containers.
import { button, html } from "./html.js";
import { describeLink, formatIdle, formatUse, isFailed } from "./activity.js";
import { dialFacts, trafficFacts } from "./counters.js";
import { displayName, exposedPorts, formatAgo, formatCount, formatEndpoint, formatNumber, formatPort, isGroup, qualifiedName } from "./format.js";
import { successorButtons } from "./gone.js";
import { findReadByCommands } from "./summary.js";
import { groupIDs, linkKey } from "./view.js";
import { containerLinks } from "./containerlinks.js";

const evidence = { both: "Observed at both ends", client: "Observed at the client only", server: "Observed at the server only" };
const translations = {
  conntrack: "Known by the kernel's table of tracked connections", proxy: "Known by the socket that docker-proxy accepted",
  inferred: "Inferred from addresses and ports",
};
const routes = { direct: "at the server's own address", published: "at a published port of its host", host: "at its host's address", loopback: "over loopback", resolver: "at the engine's DNS resolver inside its network namespace" };
const methods = { sockdiag: "netlink in its network namespace", procfs: "the host's /proc", exec: "a command in the container", none: "not readable" };

const mountProc = "Mount the host's /proc into Outpost: -v /proc:/host/proc:ro. If it is mounted, see Outpost's log: docker logs outpost";

/** suggestFix returns what makes a container readable. With the host's /proc every running container outside a sandbox is readable. */
function suggestFix({ name, reason, details }) {
  if (!reason) return "";
  if (/restarting/.test(reason)) return `See why it restarts: docker logs ${name}`;
  if (details?.method === "none" || details?.method === "exec") {
    return mountProc;
  }
  if (/owner|other/.test(reason)) return "To show which container owns a socket: with cgroup v2, add --network host --cgroupns host. With cgroup v1, use access level 4 as root (--cap-add SYS_PTRACE --cap-add SYS_ADMIN), with DAC_READ_SEARCH for processes of other users";
  return "See Outpost's log on that host: docker logs outpost";
}

/** troubleWith writes why a container is incomplete, what that means for the map, and what to do. */
const troubleWith = (node) => [
  html("p", {}, `Partly readable: ${node.reason}.${node.details?.method === "none" ? " The map has only those of its links that other containers show." : ""}`),
  html("p", {}, suggestFix(node) + "."),
];

const list = (items) => html("ul", {}, items.map((i) => html("li", {}, i)));
const facts = (pairs) => html("dl", {}, pairs.filter(([, value]) => value && value.length !== 0).map(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));

/** meanings explain the nodes that nothing identifies. */
const meanings = {
  unknown: "Whoever uses an address of this host: its processes or containers. Nothing shows which.",
  ambiguous: "An address that several nodes have, or a socket that several of them may own.",
};

/**
 * nodePanel describes a node. shown is what the map shows; the panel of a node that is no group names the members of other groups. on has
 * goToNode, jumpTo, openGroup, closeGroup, hide and showNeighbours.
 */
export function nodePanel(node, shown, graph, now, on) {
  const { links, nodes } = isGroup(node) ? shown : shown.ungrouped;
  const byID = new Map(nodes.map((n) => [n.id, n]));
  const inbound = links.filter((l) => l.server === node.id), outbound = links.filter((l) => l.client === node.id);
  const isInGroup = (shown.groupByNode.get(node.id) ?? node.id) !== node.id;
  const details = node.details, toolLinks = containerLinks(node, graph, now);
  return [
    html("h2", {}, displayName(node)),
    node.reason && html("div", { className: "trouble" }, troubleWith(node)),
    node.stale && html("p", { className: "trouble" }, isGroup(node) ? "Some of its hosts have no current data." : "Its host has no current data. This is its last known state."),
    node.past && html("p", {}, isGroup(node) ? "None of its containers is in the current data." : "This container is not in the current data. It is gone, or the data of its host was dropped."),
    node.past && !isGroup(node) && successorButtons(node, graph.nodes, on.jumpTo),
    meanings[node.kind] && html("p", {}, meanings[node.kind]),
    html("p", { className: "actions" },
      button("Show only neighbours", () => on.showNeighbours(node.id)),
      button("Hide this", () => on.hide(node)),
      isGroup(node) && button("Expand group", () => on.openGroup(node.id)),
      isInGroup && button("Show on the map", () => on.jumpTo(node.id))),
    linkList("Called by", inbound, (l) => byID.get(l.client), now, on),
    linkList("Calls", outbound, (l) => byID.get(l.server), now, on),
    facts([
      ["Kind", isGroup(node) ? `group of ${formatCount(node.members, "node")} by ${node.kind}` : node.kind],
      ["Image", node.image], ["Host", node.host], ["Project", node.project], ["Service", node.service],
      ["Container", node.container && node.container.slice(0, 12)],
      ["Open", toolLinks.length > 0 && list(toolLinks.map(({ label, href }) => html("a", { href, target: "_blank", rel: "noopener noreferrer" }, label)))],
      ["Host ports", exposedPorts(node).map((port) => `:${port}`).join(", ")],
      ["Networks", details && list(details.networks.map((n) => [n.name, n.addresses.length ? ` ${n.addresses.join(", ")}` : ""].join("")))],
      ["Listening", details && (details.listening.length ? list(details.listening.map(listener)) : details.status === "ok" ? "no ports" : "unknown")],
      ["Read with", details && `${details.method}: ${methods[details.method] || ""}`],
      ["Methods that failed", details && details.unused.length > 0 && list(details.unused.map((u) => `${u.method}: ${u.reason}`))],
      ["Replaced", node.predecessors && list(node.predecessors.map((p) => `${p.name}${p.image ? `, ${p.image}` : ""}, last seen ${formatAgo(p.lastSeen, now)}`))],
      ["One of", node.candidates && list(node.candidates.map((id) => displayName(graph.nodes.find((n) => n.id === id) || { name: id })))],
    ]),
    !isGroup(node) && html("p", { className: "actions" },
      groupIDs(node).map((id) => button(`Collapse ${id.split("/").map(decodeURIComponent).join(" ")}`, () => on.closeGroup(id), { className: "minor" }))),
  ];
}

function listener({ address, port, protocol, published, process }) {
  const out = published.map((at) => formatEndpoint({ ...at, protocol })).join(", ");
  return formatEndpoint({ address, port, protocol }) + (out ? ` published at ${out}` : "") + (process ? ` (${process})` : "");
}

function linkList(heading, links, otherOf, now, on) {
  return links.length > 0 && [
    html("h3", {}, `${heading} (${formatNumber(links.length)})`),
    html("ul", {}, links.slice(0, 100).map((l) => {
      const other = otherOf(l);
      return html("li", { dataset: { id: linkKey(l) } }, nodeButton(other, () => on.goToNode(other.id)), ` ${describeLink(l, now)}`);
    })),
    links.length > 100 && html("p", {}, `and ${formatNumber(links.length - 100)} more in the table`),
  ];
}

/** nodeButton returns a button with the name of a node. */
const nodeButton = (node, onclick) => button(displayName(node), onclick, { className: "link", dataset: { id: node.id } });

/** linePanel describes the links of a line. */
export function linePanel(line, { nodes }, now, on) {
  const node = (id) => nodes.find((n) => n.id === id);
  const end = (id) => [nodeButton(node(id), () => on.select("node", id)), qualifiedName(node(id)).slice(displayName(node(id)).length)];
  return [
    html("h2", {}, displayName(node(line.from)), " → ", displayName(node(line.to))),
    html("p", {}, "Client: ", end(line.from), html("br"), "Server: ", end(line.to)),
    line.links.map((l) => html("section", { dataset: { id: linkKey(l) } },
      html("h3", {}, `Port ${formatPort(l)}, ${l.via}`),
      facts([
        ["Connections", l.countsUnknown ? "unknown for that time" : l.connections || l.closed || isFailed(l) ? formatUse(l) : "none now"], ["Ended in the last minute", l.closed ? formatNumber(l.closed) : ""],
        ...dialFacts(l), ["Attempts without an answer", l.attempts && formatNumber(l.attempts)], ["Idle", formatIdle(l)],
        ["Reached", routes[l.via]], ["Evidence", evidence[l.evidence]], ["Translation", translations[l.translation]],
        ["Direction", l.directionUnknown && "Unknown of some connections: each end may have dialled"],
        ["First seen", formatAgo(l.firstSeen, now)], ["Last seen", formatAgo(l.lastSeen, now)],
        ...trafficFacts(l),
      ]))),
  ];
}

const targetRemedies = {
  stale: "Its last data stays in the map for OUTPOST_STALE_AFTER.", failed: "Is Outpost running there, and can this host reach it?",
  duplicate: "Name each host once.", pending: "Not polled yet.",
};

/**
 * remedyFor returns what the user can do about a target. A target that is a DNS name or a file is an entry that cannot be resolved. The
 * reason of a daemon that responds 503 has its own remedy.
 */
function remedyFor({ state, target, reason = "" }) {
  if (state === "failed" && /^(dns|file):/.test(target)) return "Check the name or the file.";
  return state === "failed" && reason.startsWith("responds 503") ? "Outpost runs there, without data of its engine." : targetRemedies[state] || "";
}

/** targetsPanel lists the targets with problems and then the others. */
export function targetsPanel({ targets }, now) {
  const bad = targets.filter((t) => t.state !== "ok" || t.reason), good = targets.filter((t) => !bad.includes(t));
  return [
    html("h2", {}, "Targets"),
    !targets.length && html("p", {}, "This Outpost maps its own host. It polls no targets."),
    bad.map((t) => html("section", { className: "trouble" }, html("h3", {}, `${t.target}: ${t.state}`), html("p", {}, t.reason ? t.reason + ". " : "", remedyFor(t)),
      t.lastAnswer && Date.parse(t.lastAnswer) > 0 && html("p", {}, `Last answer ${formatAgo(t.lastAnswer, now)}.`))),
    good.length > 0 && [html("h3", {}, "Up to date"), list(good.map((t) => t.target + (t.host && t.host !== t.target ? ` (${t.host})` : "")))],
  ];
}

const maxIncomplete = 200;

/** incompletePanel lists the incomplete containers, and those that only commands read. */
export function incompletePanel({ nodes }, on) {
  const incomplete = nodes.filter((n) => n.reason), byCommands = findReadByCommands(nodes);
  return [
    html("h2", {}, "Partly readable containers"),
    !incomplete.length && !byCommands.length && html("p", {}, "Everything about all containers could be read."),
    incomplete.slice(0, maxIncomplete).map((n) => html("section", { className: "trouble", dataset: { id: n.id } },
      html("h3", {}, nodeButton(n, () => on.jumpTo(n.id)), n.host ? ` on ${n.host}` : ""),
      n.image && html("p", {}, n.image), troubleWith(n))),
    incomplete.length > maxIncomplete && html("p", {}, `and ${formatNumber(incomplete.length - maxIncomplete)} more, see Outpost's log`),
    byCommands.length > 0 && html("section", { className: "trouble", dataset: { id: "commands" } },
      html("h3", {}, `${formatCount(byCommands.length, "container")} read by commands`),
      html("p", {}, `Commands run only at a poll, so that short connections may be missed. ${mountProc}.`),
      list(byCommands.slice(0, maxIncomplete).map((n) => nodeButton(n, () => on.jumpTo(n.id)))),
      byCommands.length > maxIncomplete && html("p", {}, `and ${formatNumber(byCommands.length - maxIncomplete)} more`)),
  ];
}
