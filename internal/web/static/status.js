// The status of the map: how much is shown and hidden, its age, its problems, and what to do if it is empty.
import { button, html } from "./html.js";
import { parseQuery } from "./query.js";
import { loginExpired } from "./request.js";
import { findWithoutData } from "./summary.js";
import { capitalize, formatCount, formatNumber, formatTime, isGroup } from "./format.js";

const minute = 60_000; // ms

/** formatCounts counts what is shown and hidden at a time in ms. changes is the text about changes; lines and labels are the numbers of those that are not drawn. */
export function formatCounts(graph, shown, changes, { lines, labels }, time) {
  if (shown.noDataBefore) return `no data before ${formatTime(shown.noDataBefore, time)}`;
  const groups = shown.nodes.filter((n) => isGroup(n));
  const inGroups = groups.reduce((sum, g) => sum + g.members, 0);
  const single = shown.nodes.length - groups.length;
  const parts = [[(single || !groups.length) && formatCount(single, "node"), groups.length && `${formatCount(groups.length, "group")} of ${formatCount(inGroups, "node")}`].filter(Boolean).join(" and ") +
    (shown.ungrouped.links.length > shown.links.length ? `, ${formatCount(shown.ungrouped.links.length, "link")} grouped into ${formatNumber(shown.links.length)}` : `, ${formatCount(shown.links.length, "link")}`)];
  if (changes) parts.unshift(changes);
  const causes = Object.entries(shown.hidden).map(([cause, { nodes, links }]) =>
    [nodes && formatCount(nodes, "node"), links && formatCount(links, "link")].filter(Boolean).join(" and ") + ` (${cause})`);
  if (lines) causes.push(`${formatCount(lines, "line")} (too many to draw)`);
  parts.push(causes.length ? `hidden: ${causes.join(", ")}` : groups.length ? "nothing else is hidden" : "nothing is hidden");
  if (labels) parts.push(`${formatCount(labels, "line label")} ${labels === 1 ? "doesn't" : "don't"} fit; hover to read`);
  if (graph.forgotten) parts.push(`${formatCount(graph.forgotten, "past link")} dropped: too many to keep`);
  return parts.join(" · ");
}

/** buildWarnings returns a button for each kind of problem. */
export function buildWarnings(graph, on) {
  const bad = findWithoutData(graph.targets), notes = graph.targets.filter((t) => t.state === "duplicate" || (t.state === "ok" && t.reason));
  const pending = graph.targets.filter((t) => t.state === "pending"), incomplete = graph.nodes.filter((n) => n.reason);
  return [
    bad.length && [`${formatNumber(bad.length)} of ${formatCount(graph.targets.length, "target")} without current data`, "targets"],
    pending.length && [`${formatCount(pending.length, "target")} not polled yet`, "targets"],
    notes.length && [`${formatCount(notes.length, "target")} to check`, "targets"],
    incomplete.length && [`${formatCount(incomplete.length, "container")} partly readable`, "incomplete"],
  ].filter(Boolean).map(([text, panel]) => button(text, () => on.showPanel(panel), { className: "warning" }));
}

/** describeFailure writes why there is no current data, and the time of the last data. */
const describeFailure = (failure, time) => capitalize(failure) + (time ? `; data from ${formatTime(time)}` : "");

/** freshness writes the age of the data and the state of the connection. */
export function freshness({ time, failure, paused }) {
  if (failure) return describeFailure(failure, time) + (paused ? ", paused" : ", retrying");
  return time ? `${paused ? "paused" : "live"}, ${formatTime(time)}` : "";
}

/** buildChips returns a button for each term of the query, which removes it, and the error of a query that cannot be parsed. */
export function buildChips(query, on) {
  const { terms, error } = parseQuery(query);
  if (error) return [html("span", { className: "warning", role: "alert" }, error), button("Remove ×", () => on.setQuery(""), { className: "chip" })];
  const without = (removed) => terms.filter((t) => t !== removed).map((t) => t.text).join(" ");
  return terms.map((t) => button(`${t.text} ×`, () => on.setQuery(without(t)), { className: "chip", "aria-label": `Remove the filter ${t.text}` }));
}

/**
 * banner returns the text of the bar over the map while it does not show current data, and whether that is a trouble. noDataBefore is a
 * time in ms, or 0 if there is data at the shown time.
 */
export function banner({ time, failure, at, hasGraph, noDataBefore }) {
  if (failure && hasGraph) return { text: describeFailure(failure, time) + (failure === loginExpired ? "" : ", retrying"), isTrouble: true };
  return { text: at ? `Viewing ${formatTime(at, time)}${noDataBefore ? `: no data before ${formatTime(noDataBefore, time)}` : ""}` : "", isTrouble: false };
}

/** placeOf names what a graph shows: the host of a daemon, or the hosts of a mapper. */
export function placeOf(graph) {
  const hosts = [...new Set(graph.nodes.map((n) => n.host).filter(Boolean))];
  return hosts.length === 1 ? hosts[0] : graph.role === "mapper" ? formatCount(hosts.length, "host") : "";
}

/** wholeNames explains terms such as name:db, which match whole names only. */
const wholeNames = (query) => (parseQuery(query).terms.some(({ text }) => /^\w+:[^*]*[a-z][^*]*$/i.test(text)) ? ["A term matches a whole name. A star stands for any part of it, as in name:*db*."] : []);

/** emptyState explains an empty map and what to do; null if the map is not empty. time is the server's in ms. */
export function emptyState(graph, shown, { failure, remedy, q }, on, time) {
  const say = (heading, ...rest) => [html("h2", {}, heading), ...rest.map((r) => (typeof r === "string" ? html("p", {}, r) : r))];
  const code = (text) => html("pre", {}, text);
  if (!graph && failure === loginExpired) return say("The login has expired", "Sign in again to see the map.", button("Sign in again", on.reload));
  if (!graph && remedy) return say("No data from Outpost", `${capitalize(failure)}.`, html("p", { className: "remedy" }, `${capitalize(remedy)}.`), "Retrying every few seconds.");
  if (!graph) return failure ? say("No data from Outpost", `${capitalize(failure)}.`, "Retrying every few seconds. Check that Outpost and the container engine are running.") : say("Connecting…");
  if (shown.noDataBefore) {
    const isWindow = Date.parse(graph.dataSince) < shown.noDataBefore, start = formatTime(shown.noDataBefore, time);
    const after = isWindow ? Math.min(minute, (time - shown.noDataBefore) / 2) : 0; // the beginning of the window moves
    const first = Math.ceil((shown.noDataBefore + after) / 1000) * 1000;
    return say(`No data before ${start}`, isWindow ? "Past links stay in the map for OUTPOST_WINDOW." : "Outpost has no map of an earlier time.",
      html("p", { className: "actions" }, button(`Go to ${formatTime(first, time)}`, () => on.goTo(first)), button("Return to live", () => on.goTo(time))));
  }
  const containers = graph.nodes.filter((n) => n.kind === "container" && !n.past);
  if (graph.role === "mapper" && !graph.targets.length) return say("No targets", "Name the daemons to poll as arguments or in OUTPOST_TARGETS. If that names a file: the targets file is empty. For example:", code("outpost map host1 host2:9057 dns:tasks.outpost:9057"));
  if (graph.role === "mapper" && !graph.nodes.length && graph.targets.every((t) => t.state === "pending")) return say("Polling the targets…");
  if (graph.role === "mapper" && !graph.nodes.length && graph.targets.every((t) => t.state !== "ok")) {
    return say("No data from any target", button("See why", () => on.showPanel("targets")));
  }
  if (!containers.length && !graph.links.length) return say(graph.role === "mapper" ? "No containers run on these hosts" : "No containers run here", "Start one and it appears here within seconds, for example:", code("docker run -d -p 8080:80 nginx"));
  if (!shown.nodes.length) return say("Nothing matches these filters", `The filters hide all ${formatCount(graph.nodes.length, "node")}.`, ...wholeNames(q), button("Show all", on.resetFilters));
  return null;
}

/** emptyHint explains a map of containers without links. */
export function emptyHint(graph, shown) {
  if (!graph || shown.links.length) return "";
  if (graph.links.length) return "No links match the filters or time.";
  return "No links yet. They appear when these containers have connections: open one, and wait a few seconds.";
}

/** manyLines explains a map that does not draw all its lines. */
export function manyLines(hidden, on) {
  return hidden > 0 && [`${formatCount(hidden, "line")} are not drawn. Point at a node or select it to see its lines, or `, button("open the matrix", on.toggleMatrix)];
}
