// What is said about the map: how much is shown and hidden, how fresh it is, what is wrong, and what to do where nothing is there.
import { button, html } from "./html.js";
import { clock, count, isGroup, number } from "./names.js";

/** countsOf says what is shown and what is hidden, and how many of each; ports and labels are those that are not drawn. */
export function countsOf(graph, shown, newLinks, { ports, labels }) {
  const groups = shown.nodes.filter((n) => isGroup(n));
  const inGroups = groups.reduce((sum, g) => sum + g.members, 0);
  const single = shown.nodes.length - groups.length;
  const parts = [[(single || !groups.length) && count(single, "node"), groups.length && `${count(groups.length, "group")} of ${count(inGroups, "node")}`].filter(Boolean).join(" and ") +
    `, ${count(shown.links.length, "link")}` + (shown.together > shown.links.length ? ` standing for ${number(shown.together)}` : "")];
  if (newLinks >= 0) parts.push(`${number(newLinks)} new`);
  const causes = Object.entries(shown.hidden).map(([cause, { nodes, links }]) =>
    [nodes && count(nodes, "node"), links && count(links, "link")].filter(Boolean).join(" and ") + ` (${cause})`);
  if (ports) causes.push(`${count(ports, "published port")} (of groups)`);
  if (labels) causes.push(`${count(labels, "label")} (without room: point at the line)`);
  parts.push(causes.length ? `hidden: ${causes.join(", ")}` : groups.length ? "nothing else is hidden" : "nothing is hidden");
  if (graph.forgotten) parts.push(`${count(graph.forgotten, "past link")} forgotten, because there were too many`);
  return parts.join(" · ");
}

/** warningsOf returns buttons for what is wrong. */
export function warningsOf(graph, on) {
  const bad = graph.targets.filter((t) => t.state === "stale" || t.state === "failed"), remarks = graph.targets.filter((t) => t.state === "duplicate" || (t.state === "ok" && t.reason));
  const pending = graph.targets.filter((t) => t.state === "pending"), unread = graph.nodes.filter((n) => n.reason);
  return [
    bad.length && [`${number(bad.length)} of ${count(graph.targets.length, "target")} ${bad.length === 1 ? "does" : "do"} not answer`, "targets"],
    pending.length && [`${count(pending.length, "target")} not asked yet`, "targets"],
    remarks.length && [`${count(remarks.length, "target")} with a remark`, "targets"],
    unread.length && [`${count(unread.length, "container")} not wholly read`, "unread"],
  ].filter(Boolean).map(([text, panel]) => button(text, () => on.panel(panel), { className: "warning" }));
}

/** freshness says of when the map is. */
export function freshness({ time, failure, paused }) {
  const parts = [];
  if (failure) parts.push(`Outpost does not answer: ${failure}.`);
  parts.push(time ? `${paused ? "paused" : failure ? "last answer" : "live"}, ${clock(time)}` : "");
  return parts.filter(Boolean).join(" ");
}

/** emptyState returns what to do where there is nothing to be seen; null where there is. */
export function emptyState(graph, shown, failure, on) {
  const say = (heading, ...rest) => [html("h2", {}, heading), ...rest.map((r) => (typeof r === "string" ? html("p", {}, r) : r))];
  const code = (text) => html("pre", {}, text);
  if (!graph) return failure ? say("Outpost does not answer", `${failure}.`, "It is asked again every few seconds. Does it still run, and does the engine?") : say("Asking Outpost…");
  const containers = graph.nodes.filter((n) => n.kind === "container" && !n.past);
  if (graph.role === "mapper" && !graph.targets.length) return say("No targets", "Say which daemons to poll, as arguments or in OUTPOST_TARGETS. In a file that is named there is none now. For example:", code("outpost map host1 host2:9057 dns:tasks.outpost:9057"));
  if (graph.role === "mapper" && !graph.nodes.length && graph.targets.every((t) => t.state === "pending")) return say("Asking the targets…");
  if (graph.role === "mapper" && !graph.nodes.length && graph.targets.every((t) => t.state !== "ok")) {
    return say("None of the targets answers", button("See why", () => on.panel("targets")));
  }
  if (!containers.length && !graph.links.length) return say("No containers run here", "Start one and it appears here within seconds, for example:", code("docker run -d -p 8080:80 nginx"));
  if (!shown.nodes.length) return say("All is hidden", `The filters hide all ${count(graph.nodes.length, "node")}.`, button("Show all", on.clear));
  return null;
}

/** hintOf says what to do where there are containers but no links. */
export function hintOf(graph, shown) {
  if (!graph || shown.links.length) return "";
  if (graph.links.length) return "No link of those that are shown: change the filters or the time.";
  return "No links yet. They appear as soon as these containers have TCP connections: open one, and wait a few seconds.";
}
