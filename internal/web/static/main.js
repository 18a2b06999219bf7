// The page: it draws the last graph of the server as the view asks. Places of nodes and the last grouping level outlive a graph.
import { button, copy, html, setText, updateChildren } from "./html.js";
import { MapDrawing } from "./map.js";
import { describeLink } from "./activity.js";
import { describeChanges } from "./changes.js";
import { capitalize, displayName, exposedPorts, formatCount, formatNumber, formatTime, isGroup, qualifiedName } from "./format.js";
import { buildScene, describe, minScale } from "./scene.js";
import { Search } from "./search.js";
import { Overview } from "./overview.js";
import { Poller } from "./poller.js";
import { loginExpired, request } from "./request.js";
import { banner, buildChips, buildWarnings, emptyHint, emptyState, formatCounts, freshness, manyLines, placeOf } from "./status.js";
import { SidePanel } from "./sidepanel.js";
import { LinkTable } from "./table.js";
import { Timeline } from "./timeline.js";
import { parseQuery } from "./query.js";
import { writeTerm } from "./completion.js";
import { referSelection, resolveSelection } from "./reference.js";
import { applyView, dataStart, divides, drawnKey, filterGraph, filterNames, formatQuery, groupIDs, initial, isGroupOf, linkKey, parseSince, parseView, selectsLinks, withAsked } from "./view.js";

const $ = (id) => document.getElementById(id);
const form = $("filters");

let view = parseView(location.search);
let received = null, graph = null, time = 0, failure = "", remedy = "";
let shown = { nodes: [], links: [], hidden: {}, groupByNode: new Map(), level: view.level, ungrouped: { nodes: [], links: [] } };
let scene = { nodes: [], lines: [], boxes: [], byID: new Map() };
let version = ""; // of the server
let drawnOnce = false, outdated = false, needsLayout = false;
let grouping = null; // the least grouping at which the map was readable

const on = { select, changeView, announce, closeOverview, openGroup, closeGroup, resetFilters, goTo, goToNode, jumpTo, showNeighbours, showPanel, toggleMatrix, showTooltip, announceLine, openNode, addTerm, setQuery, hide, reload: () => location.reload(), moved: (look) => setView({ look }), sort: (sort) => changeView({ sort }) };
const map = new MapDrawing($("map"), on);
let matrix = null; // until it is shown
const drawing = () => (view.as === "matrix" && matrix) || map;
const table = new LinkTable(document.querySelector(".links"), { select: (key) => select("link", key), point: (key) => drawing().light(drawnKey(shown, key)), sort: on.sort });
const sidePanel = new SidePanel($("panel"), on), overview = new Overview($("overview"), on);
const base = location.origin + location.pathname; // without the credentials of the page's own address
const poller = new Poller(new URL("../v1/graph?dns=show", base), { onGraph, onError });
const timeline = new Timeline($("timeline"), on);
const search = new Search($("search"), $("found"), () => graph || { nodes: [], links: [] }, on);

function onGraph(answer, at) {
  if (failure) announce("Connected again");
  time = at;
  failure = remedy = "";
  if (answer && !graph) updateChildren($("empty"), html("h2", {}, "Drawing the map…"));
  if (answer) received = answer;
  outdated ||= !!answer || !!view.since || !!view.newSince;
  drawing().viewport.whenStill(() => (outdated ? render(true) : renderAges()));
}

function onError(reason, advice = "") {
  if (reason !== failure) announce(capitalize(reason));
  failure = reason;
  remedy = advice;
  outdated = true;
  drawing().viewport.whenStill(() => render(true));
}

const isGroupID = (id) => isGroupOf(graph.nodes, id);

/** selected returns the ID of the selected node or line, or the key of the selected link. */
const selected = () => (graph ? resolveSelection(graph.nodes, view.select, isGroupID) : view.select);

/** referTo returns how the address names what has an ID: a redeploy changes the IDs of containers. */
const referTo = (id) => (graph ? referSelection(graph.nodes, id, isGroupID) : id);

/** address returns the address of the view. It contains the grouping level if only the history of this page explains it. */
function address() {
  const text = formatQuery({ ...view, select: referTo(view.select), node: referTo(view.node), level: shown.isSticky ? shown.level : "" });
  return location.pathname + (text ? "?" + text : "");
}
let addressTimer = 0, isStep = false, written = location.search;

/** passingParameters change often or by themselves: a change is no step to which the browser goes back. */
const passingParameters = ["look", "level", "filter", "sort", "columns", "at", "overview"];

/** setView changes the view, and the address after a delay: browsers limit how often a page may change it. */
function setView(changes) {
  isStep ||= Object.keys(changes).some((name) => !passingParameters.includes(name) && String(changes[name]) !== String(view[name]));
  view = { ...view, ...changes };
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    history[isStep ? "pushState" : "replaceState"](null, "", address());
    isStep = false;
    written = location.search;
  }, 200);
}

/** restoreView shows the view of the address after the browser went back or forward. */
function restoreView() {
  if (location.search === written) return; // only the part after # is another one
  written = location.search;
  clearTimeout(addressTimer);
  isStep = drawnOnce = false;
  view = parseView(location.search);
  render(false);
}
addEventListener("popstate", restoreView);

/** layoutParameters are the parameters that need a new layout: they change most of the shown nodes. */
const layoutParameters = ["group", "open", "closed", "external", "container", "host", "project", "image", "node", "depth", "q"];

/** changeView changes the view and renders it. */
function changeView(changes, scroll = false) {
  const isNew = layoutParameters.some((name) => name in changes && String(changes[name]) !== String(view[name]));
  setView(isNew ? { look: "", ...changes } : changes);
  return render(!isNew, scroll);
}

/**
 * render updates the whole page. With keepPlaces only new nodes get places. The focus stays on its element or goes to the map. A later
 * call overtakes an earlier call that waits for its layout.
 */
async function render(keepPlaces, scroll = false) {
  const focused = document.activeElement;
  outdated = false;
  needsLayout ||= !keepPlaces;
  graph = received && withAsked(received, view);
  syncForm();
  const next = graph && (await arrangeReadably());
  if (graph && !next) return;
  if (next) redraw(next);
  renderFreshness();
  const nothing = emptyState(graph, shown, { failure, remedy, q: view.q }, on, time), hint = emptyHint(graph, shown);
  $("empty").hidden = !nothing && !hint;
  $("empty").classList.toggle("hint", !nothing);
  updateChildren($("empty"), nothing || hint);
  highlight(scroll);
  search.refresh();
  const active = document.activeElement;
  if (focused !== document.body && (active === document.body || active.closest("[hidden]"))) drawing().focus(focused.dataset.id);
}

/** redraw draws what arrangeReadably returned. */
function redraw(next) {
  ({ shown, scene } = next);
  const isMatrix = !next.arrangement, isNew = needsLayout || isMatrix === $("matrix").hidden, look = drawnOnce ? "" : view.look;
  $("map").hidden = isMatrix;
  $("matrix").hidden = !isMatrix;
  if (isMatrix) matrix.draw(scene, isNew, look);
  else map.draw(scene, next.arrangement, look);
  needsLayout = false;
  drawnOnce ||= scene.nodes.length > 0;
  const changes = view.newSince && describeChanges(shown, parseSince(view.newSince, time), dataStart(graph, time), time);
  setText($("counts"), formatCounts(graph, shown, changes, drawing().hidden, time));
  for (const id of ["map", "counts"]) $(id).classList.toggle("changes", !!changes);
  updateChildren($("many"), manyLines(drawing().hidden.lines, on));
  $("many").hidden = !drawing().hidden.lines;
  const isPart = view.at || view.since; // of the window that the timeline shows
  timeline.setLinks(isPart ? filterGraph(graph, { ...view, at: "", since: "" }, time).links : shown.ungrouped.links);
  updateChildren($("warnings"), buildWarnings(graph, on));
  const place = placeOf(graph);
  setText($("place"), [place, version].filter(Boolean).join(" · "));
  document.title = place ? `Outpost – ${place}` : "Outpost";
}

/**
 * arrangeReadably returns the view, its scene and arrangement, in the finest grouping that is readable; null if it was overtaken. Groups
 * that the user has opened or closed keep their level.
 */
async function arrangeReadably() {
  if (view.as === "matrix") return arrangeMatrix();
  const known = needsLayout ? null : graph.nodes.map((n) => n.id), last = shown.level;
  const isChosen = view.open.length + view.closed.length > 0;
  if (needsLayout && !isChosen) grouping = null;
  for (;;) {
    const next = { shown: applyView(graph, view, time, last, grouping) };
    next.scene = buildScene(next.shown, graph.targets, time, { ...view, insideGroups: selectsLinks(view) });
    next.arrangement = await map.arrange(next.scene, known, selected());
    if (!next.arrangement) return null;
    if (!next.arrangement.isNew || next.arrangement.scale >= minScale || !next.shown.coarser || isChosen) return next;
    grouping = next.shown.coarser;
  }
}

/** arrangeMatrix returns the view and its scene for the matrix, which needs no arrangement. It loads the matrix at its first use. */
async function arrangeMatrix() {
  if (!matrix) {
    const { MatrixDrawing } = await import("./matrixdrawing.js");
    matrix ??= new MatrixDrawing($("matrix"), on);
  }
  if (view.as !== "matrix") return null; // the user has left it meanwhile
  const next = applyView(graph, view, time, shown.level);
  return { shown: next, scene: buildScene(next, graph.targets, time, { ...view, insideGroups: true }) };
}

/** renderAges updates what shows ages. */
function renderAges() {
  renderFreshness();
  updateOverview();
}

function renderFreshness() {
  if (graph) timeline.update(graph, time, view.at);
  updateChildren($("freshness"), freshness({ time, failure, paused: poller.paused }), failure === loginExpired && [" ", button("Sign in again", on.reload, { className: "warning" })]);
  $("freshness").classList.toggle("trouble", !!failure);
  const { text, isTrouble } = banner({ time, failure, at: view.at, hasGraph: !!graph, noDataBefore: shown.noDataBefore });
  const action = failure === loginExpired ? button("Sign in again", on.reload) : view.at && !isTrouble && button("Return to live", () => goTo(time));
  updateChildren($("banner"), text && [html("span", {}, text), failure && remedy && html("span", { className: "remedy" }, capitalize(remedy)), action]);
  $("banner").hidden = !text;
  $("banner").classList.toggle("trouble", isTrouble);
  $("map").parentElement.classList.toggle("then", !!view.at);
}
new ResizeObserver(updateOverview).observe($("overview"));

/** highlight shows the selection on the map, in the table and in the panel, or in its place the overview. */
function highlight(scroll) {
  if (!graph) return;
  const { ids, group, own, keys, rows = shown } = sidePanel.update({ view, graph, shown, scene, time, id: selected() });
  drawing().select(ids, group, own);
  table.update(rows, { ...view, now: time });
  table.select(keys, { scroll, alone: scene.byID.has(selected()) || !!group });
  updateOverview();
}

/** updateOverview shows the overview of the whole map at the shown time, whatever the filters hide. */
function updateOverview() {
  if (!graph || $("overview").hidden) return;
  const at = view.at ? Math.min(Date.parse(view.at), time) : time, then = at < time ? filterGraph(graph, { ...initial, at: view.at }, time) : graph;
  overview.update({ graph, time, then, at, noDataBefore: then.noDataBefore || 0, seconds: lastHour(), start: dataStart(graph, time) });
}

function closeOverview() {
  changeView({ overview: "closed" });
  $("show-overview").focus();
}

async function openOverview() {
  await changeView({ overview: "open", select: "", panel: "" });
  $("overview").focus();
}

async function select(kind, id) {
  const before = selected(), inPanel = $("panel").contains(document.activeElement);
  await changeView({ select: referTo(id), panel: "" }, kind !== "link");
  if (!id && inPanel) drawing().focus(before);
  if (kind === "node" && coveredHeight() > 0) drawing().show(id, coveredHeight());
  if (kind === "link") drawing().show(scene.lines.find((l) => l.keys.includes(drawnKey(shown, id)))?.id, coveredHeight());
  if (id) announce(scene.byID.has(id) ? describe(scene.byID.get(id)) : `Link selected: ${$("panel").querySelector("h2")?.textContent ?? ""}`);
}

async function showPanel(name) {
  await changeView({ select: "", panel: name });
  $("panel").focus();
}

/** goTo shows the map of a time in ms. From now on the map is live again. */
function goTo(at) {
  const second = Math.ceil(at / 1000) * 1000;
  return changeView({ at: second < time ? new Date(second).toISOString() : "" });
}

const withID = (list, id) => [...new Set([...list, id])];
const without = (list, ...ids) => list.filter((id) => !ids.includes(id));

async function openGroup(node) {
  const id = node.id || node, group = scene.byID.get(id)?.node;
  if (isTooLarge(group)) {
    await select("node", id);
    return announce(`${formatCount(group.members, "node")} have no room on the map. Show fewer with a filter, such as ${group.kind === "external" ? "address:203.0.113.0/24" : "name:*-1*"}.`, true);
  }
  const onMap = $("map").contains(document.activeElement);
  await changeView({ open: withID(view.open, id), closed: without(view.closed, id), select: "" });
  if (onMap) $("map").focus();
  announce(`Expanded: ${formatCount(scene.nodes.length, "node or group", "nodes and groups")} now`);
}

/** openNode expands a node if it is a group. */
function openNode(id) {
  const node = scene.byID.get(id)?.node;
  if (node && isGroup(node)) openGroup(node);
}

/** closeGroup collapses a box or group. */
function closeGroup(box) {
  const id = box.closes || box;
  const opened = view.open.includes(id);
  changeView({ open: without(view.open, id), closed: opened ? view.closed : withID(view.closed, id), select: "" });
}

function resetFilters() {
  return changeView({ ...Object.fromEntries(filterNames.map((name) => [name, initial[name]])), ...resetGroups("external"), closed: [] });
}

function setQuery(q) {
  announce(q ? `Filter: ${q}` : "No filter terms");
  return changeView({ q, select: "" });
}

function addTerm(term) {
  return setQuery(queryTerms().includes(term) ? view.q : `${view.q} ${term}`.trim());
}

/** hide excludes a node, or the members of a group, from the view. */
function hide(node) {
  if (node.kind === "external" && isGroup(node)) return changeView({ external: "hide", select: "" });
  return addTerm(writeTerm(node.name, isGroup(node) ? node.kind : "name", "-"));
}

/** monitoring are the terms that hide what watches the containers. */
const monitoring = ["-is:monitoring", "-is:outpost"];

const queryTerms = () => parseQuery(view.q).terms.map((t) => t.text);
const hidesMonitoring = () => monitoring.every((t) => queryTerms().includes(t));

function toggleMonitoring() {
  const rest = queryTerms().filter((t) => !monitoring.includes(t));
  return setQuery([...rest, ...(hidesMonitoring() ? [] : monitoring)].join(" "));
}

function showNeighbours(id) {
  changeView({ node: referTo(id), select: referTo(id) });
}

/** goToNode selects a node, and opens the groups that contain it. */
function goToNode(id) {
  return scene.byID.has(id) ? select("node", id) : jumpTo(id);
}

/** maxOpened is the number of nodes of a group that divides no further above which it stays closed: a map with more of them is slow and not readable. */
const maxOpened = 500;

const isTooLarge = (group) => group && !divides(group) && group.members > maxOpened;

/** jumpTo goes to a node. It clears filters and opens groups that hide the node; in a group that is too large it selects the node. */
async function jumpTo(id) {
  const node = graph.nodes.find((n) => n.id === id);
  if (!node) return announce("This node no longer exists", true);
  if (!shown.groupByNode.has(id)) await resetFilters();
  for (let i = 0; i < 4 && !scene.byID.has(id); i++) {
    const group = shown.groupByNode.get(id);
    if (isTooLarge(scene.byID.get(group)?.node)) break;
    await changeView({ open: withID(view.open, group), closed: without(view.closed, ...groupIDs(node)) });
  }
  await select("node", id);
  drawing().show(id, coveredHeight());
}

/** coveredHeight returns the height of the part of the map that the panel covers, as it does on a phone. */
function coveredHeight() {
  return $("panel").hidden || getComputedStyle($("panel")).position !== "fixed" ? 0 : Math.max(0, document.querySelector(".drawing").getBoundingClientRect().bottom - $("panel").getBoundingClientRect().top);
}

/** showTooltip shows the tooltip of the thing under the pointer. */
function showTooltip(kind, thing, e) {
  const tip = $("tip");
  tip.hidden = !thing || kind === "box";
  if (tip.hidden) return;
  tip.replaceChildren(...buildTooltip(kind, thing));
  const frame = tip.parentElement.getBoundingClientRect();
  const x = e.clientX - frame.left + 14, y = e.clientY - frame.top + 14;
  tip.style.left = `${Math.max(4, Math.min(x, frame.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + tip.offsetHeight > frame.height ? Math.max(4, y - tip.offsetHeight - 24) : y}px`;
}

function buildTooltip(kind, thing) {
  const lines = (texts) => texts.filter(Boolean).map((t) => html("div", {}, t));
  if (kind === "line") {
    const name = (id) => qualifiedName(scene.byID.get(id).node);
    return [html("b", {}, `${name(thing.from)} → ${name(thing.to)}`), ...lines(thing.links.slice(0, 8).map((l) =>
      describeLink(l, time) + (l.evidence === "both" ? "" : `, observed at the ${l.evidence} only`))),
      ...lines([thing.links.length > 8 && `and ${formatNumber(thing.links.length - 8)} more`])];
  }
  const { node } = thing;
  const about = (end, verb) => {
    const links = shown.links.filter((l) => l[end] === node.id);
    return links.length ? `${verb} ${formatCount(new Set(links.map((l) => (end === "client" ? l.server : l.client))).size, "other")} over ${formatCount(links.length, "link")}` : "";
  };
  const ports = exposedPorts(node);
  return [html("b", {}, displayName(node)), ...lines([node.image, [node.project, node.host].filter(Boolean).join(" on "), node.reason,
    ports.length && `at host ports ${ports.slice(0, 10).map((port) => `:${port}`).join(" ")}`,
    about("client", "calls"), about("server", "called by"), node.members && "double-click to expand"])];
}

function announceLine(line) {
  const name = (id) => qualifiedName(scene.byID.get(id).node);
  announce(`${name(line.from)} calls ${name(line.to)}, ${line.links.map((l) => describeLink(l, time)).join("; ")}`);
}

/** announce sends a text to screen readers, and with show also as a toast. */
function announce(text, show = false) {
  setText($("said"), text);
  if (!show) return;
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => ($("toast").hidden = true), 4000);
}

const copied = async (text) => announce((await copy(text)) ? "Copied" : "The browser denied access to the clipboard", true);

/** syncForm sets the fields and their options to the view and the graph. */
function syncForm() {
  const nodes = graph?.nodes || [];
  addSinceOption(form.elements.since, view.since);
  for (const name of ["host", "project", "image"]) setOptions(form.elements[name], [...new Set(nodes.map((n) => n[name]).filter(Boolean))].sort(), view[name]);
  const ports = [...new Set((graph?.links || []).map((l) => l.port))].sort((a, b) => a - b);
  updateChildren($("ports"), ports.slice(0, 500).map((p) => html("option", { value: String(p) })));
  for (const name of ["group", "host", "project", "image", "port", "protocol", "dns", "external", "state", "unlinked", "since", "depth", "width"]) {
    if (document.activeElement !== form.elements[name]) form.elements[name].value = view[name];
  }
  $("depth-field").hidden = !(view.node || view.container || view.host || view.project || view.image);
  $("depth-unit").textContent = view.depth === 1 ? "hop" : "hops";
  const active = filterNames.filter((name) => view[name] !== initial[name] && name !== "depth" && name !== "q").length;
  $("clear").hidden = !active && !view.q && !view.closed.length;
  updateChildren($("chips"), buildChips(view.q, on));
  $("matrix-toggle").setAttribute("aria-pressed", String(view.as === "matrix"));
  $("hide-monitoring").setAttribute("aria-pressed", String(hidesMonitoring()));
  $("filters-toggle").textContent = active ? `Filters (${active})` : "Filters";
  syncChanges();
  document.body.dataset.overview = view.overview || "auto";
  $("overview").hidden = view.overview === "closed";
  if (document.activeElement !== $("table-filter")) $("table-filter").value = view.filter;
  $("columns").setAttribute("aria-pressed", String(view.columns === "all"));
  $("pause").setAttribute("aria-pressed", String(poller.paused));
  $("pause").textContent = poller.paused ? "Resume" : "Pause";
}

/** lastHour is the last hour, or the window if that is shorter, in seconds. */
const lastHour = () => Math.min(3600, graph?.windowSeconds ?? 3600);

/** syncChanges shows the button for changes, or in its place the field with the time since when. The focus goes from one to the other. */
function syncChanges() {
  const wanted = view.newSince ? $("new-since") : $("what-changed"), other = view.newSince ? $("what-changed") : $("new-since");
  addSinceOption($("new-since"), view.newSince);
  $("new-since").value = view.newSince;
  setText($("changed-within"), ` in the last ${lastHour() < 3600 ? `${formatNumber(Math.ceil(lastHour() / 60))} min` : "hour"}`);
  const isFocused = document.activeElement === other;
  $("what-changed").hidden = !!view.newSince;
  $("since-field").hidden = !view.newSince;
  if (isFocused) wanted.focus();
}

/** addSinceOption adds a duration or time of the address to a select that lacks it. */
function addSinceOption(field, value) {
  if ([...field.options].some((o) => o.value === value)) return;
  field.append(html("option", { value }, Number.isNaN(Date.parse(value)) || /^[\d.]+[a-z]/.test(value) ? value : formatTime(value, time)));
}

function setOptions(field, values, chosen) {
  const all = ["", ...(chosen && !values.includes(chosen) ? [chosen] : []), ...values];
  if (field.options.length === all.length && all.every((v, i) => field.options[i].value === v)) return;
  field.replaceChildren(...all.map((v) => html("option", { value: v }, v || "all")));
  field.value = chosen;
}

function setPaused(paused = !poller.paused) {
  poller.paused = paused;
  changeView({});
  announce(paused ? "Paused" : "Live");
  if (!paused) poller.poll();
}

async function saveAs(kind) {
  $("save").open = false;
  if (kind === "address") return copied(new URL(address(), base).href);
  const at = view.at || time;
  try {
    const content = await exportAs(kind);
    const { download, types } = await import("./save.js"), [type, extension] = types[kind];
    download(new Blob([content], { type }), `outpost-${new Date(at).toISOString().slice(0, 19).replaceAll(":", "")}.${extension}`);
  } catch (error) {
    announce(`Not saved: ${error instanceof TypeError ? "connection lost" : error.message}`, true);
  }
}

/** exportAs returns the content of a file. */
async function exportAs(kind) {
  const { exportJSON, exportPNG, exportSVG, fetchExport } = await import("./save.js");
  switch (kind) {
    case "svg": return drawing().withLabels(exportSVG);
    case "json": return exportJSON(shown, graph, view.at);
    case "png": {
      const picture = await exportPNG(drawing().withLabels(exportSVG)).catch(() => null);
      if (!picture) throw new Error("the map is too large for a PNG, save it as SVG");
      return picture;
    }
    default: return fetchExport(kind, base, view, shown);
  }
}

/** setTheme sets the light or dark theme; without one the system's applies. */
function setTheme(chosen) {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = chosen || system;
  document.documentElement.dataset.theme = chosen || "";
  $("theme").textContent = now === "dark" ? "Light" : "Dark";
  $("theme").onclick = () => setTheme(now === "dark" ? "light" : "dark");
}

const keys = {
  "/": () => $("search").focus(), "?": showLegend, p: () => setPaused(), l: rearrange, t: () => (document.querySelector("tbody tr") || $("table")).focus(), m: toggleMatrix,
  n: () => scene.byID.has(selected()) && showNeighbours(selected()), "+": () => drawing().viewport.zoom(1.25), "=": () => drawing().viewport.zoom(1.25), "[": () => stepTo(-1), "]": () => stepTo(1), "-": () => drawing().viewport.zoom(0.8), 0: fit,
  Escape: () => ($("save").open ? closeMenu() : select("", "")),
};

/** stepTo goes to the time before (-1) or after (1) the shown one at which links appeared or went. */
function stepTo(direction) {
  const reached = timeline.step(direction);
  announce(reached || `No link appeared or went ${direction < 0 ? "earlier" : "later"}`, !reached);
}

/** showLegend fills the legend while it is open: its samples are nodes and lines like those of the map. */
async function showLegend() {
  const { fillLegend } = await import("./legend.js");
  fillLegend($("symbols"));
  $("legend").showModal();
}
$("legend").addEventListener("close", () => $("symbols").replaceChildren());

function toggleMatrix() {
  return changeView({ as: view.as ? "" : "matrix", look: "" });
}

function fit() {
  drawing().viewport.fit();
  setView({ look: "" });
}

function rearrange() {
  map.unpin();
  setView({ look: "" });
  render(false);
}

/** closeMenu closes the menu and returns the focus to its button. */
function closeMenu() {
  $("save").open = false;
  $("save").firstElementChild.focus();
}

/** closeControls closes the sheet of a phone when something else is pressed. */
function closeControls() {
  $("controls").classList.remove("open");
  $("controls-toggle").setAttribute("aria-expanded", "false");
}

document.addEventListener("pointerdown", (e) => e.target.closest("#controls, #controls-toggle") || closeControls());
document.addEventListener("pointerdown", (e) => $("save").contains(e.target) || ($("save").open = false));

document.addEventListener("keydown", (e) => {
  const isTyped = e.getModifierState("AltGraph"); // some keyboards need it for [ and ]
  if (((e.ctrlKey || e.altKey) && !isTyped) || e.metaKey || $("legend").open) return;
  if (e.target.matches("input:not([type=range]), select, textarea") && e.key !== "Escape") return;
  const action = keys[e.key];
  if (!action) return;
  e.preventDefault();
  action();
});
form.addEventListener("submit", (e) => e.preventDefault());
document.addEventListener("input", (e) => {
  if (e.target.form !== form || !e.target.name) return;
  changeView({ [e.target.name]: e.target.name === "depth" ? Math.min(100, Math.max(1, e.target.valueAsNumber || 1)) : e.target.value, ...resetGroups(e.target.name) });
});

/** resetGroups returns the opened and closed groups that a change of a field resets. */
function resetGroups(name) {
  if (name === "group") return { open: [], closed: [] };
  return name === "external" ? { open: without(view.open, "external"), closed: without(view.closed, "external") } : {};
}

$("clear").onclick = resetFilters;
$("matrix-toggle").onclick = toggleMatrix;
$("hide-monitoring").onclick = toggleMonitoring;
$("filters-toggle").onclick = () => {
  form.hidden = !form.hidden;
  $("filters-toggle").setAttribute("aria-expanded", String(!form.hidden));
};
$("controls-toggle").onclick = () => $("controls-toggle").setAttribute("aria-expanded", String($("controls").classList.toggle("open")));
$("pause").onclick = () => setPaused();
$("what-changed").onclick = () => changeView({ newSince: lastHour() < 3600 ? `${lastHour()}s` : "1h" });
$("show-overview").onclick = openOverview;
$("new-since").oninput = (e) => changeView({ newSince: e.target.value === "now" ? new Date(time).toISOString() : e.target.value });
$("table-filter").oninput = (e) => changeView({ filter: e.target.value });
$("columns").onclick = () => changeView({ columns: view.columns ? "" : "all" });
$("copy").onclick = () => copied(table.text());
$("save").addEventListener("click", (e) => e.target.dataset.form && saveAs(e.target.dataset.form));
$("zoom-in").onclick = keys["+"];
$("zoom-out").onclick = keys["-"];
$("fit").onclick = keys[0];
$("rearrange").onclick = keys.l;
$("help").onclick = keys["?"];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(document.documentElement.dataset.theme));
request(new URL("../version", base)).then((answer) => answer.json()).then((answer) => (version = answer.version), () => {});
setTheme("");
render(false);
poller.poll();
