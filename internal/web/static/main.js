// The page: an answer of the server and a view of it, and what people do to the view. All that is drawn follows from these two.
import { copy, html, renew, write } from "./html.js";
import { MapDrawing } from "./map.js";
import { clock, count, linkText, nameOf, number, placed } from "./names.js";
import { linePanel, nodePanel, targetsPanel, unreadPanel } from "./panel.js";
import { describe, pictureOf } from "./picture.js";
import { download, drawingOf, pngOf, types, writers } from "./save.js";
import { Search } from "./search.js";
import { Source } from "./source.js";
import { countsOf, emptyState, freshness, hintOf, warningsOf } from "./status.js";
import { LinkTable } from "./table.js";
import { filters, groupsHolding, initial, keyOf, parse, query, shownOf } from "./view.js";

const $ = (id) => document.getElementById(id);
const form = $("filters");

let view = parse(location.search);
let graph = null, time = 0, failure = "";
let shown = { nodes: [], links: [], hidden: {}, into: new Map(), level: view.level };
let picture = { nodes: [], lines: [], boxes: [], plates: [], byID: new Map() };
let drawnOnce = false, outdated = false;

const on = { select, open, close, clear, jump, neighbours, panel, point, moved: (look) => keep({ look }), sort: (sort) => change({ sort }) };
const map = new MapDrawing($("map"), on);
const table = new LinkTable(document.querySelector(".links"), { select: (key) => select("link", key), sort: on.sort });
const base = location.origin + location.pathname; // without a password that it was opened with
const source = new Source(new URL("../v1/graph", base), { got, failed });
const search = new Search($("search"), $("found"), () => graph?.nodes || [], on);

function got(answer, at) {
  if (failure) say("Outpost answers again");
  time = at;
  failure = "";
  if (answer) graph = answer;
  outdated ||= !!answer || !!view.since;
  map.viewport.whenStill(() => (outdated ? draw(true) : drawFreshness()));
}

function failed(reason) {
  if (reason !== failure) say(`Outpost does not answer: ${reason}`);
  failure = reason;
  outdated = true;
  map.viewport.whenStill(() => draw(true));
}

/** address is that of the view, with the level at which nodes are together, if whoever opens it would see another one. */
function address() {
  const text = query({ ...view, level: shown.unusual ? shown.level : "" });
  return location.pathname + (text ? "?" + text : "");
}
let writing = 0;

/** keep changes the view, and soon the address with it: browsers do not take a new one at each step of a slider. */
function keep(changes) {
  view = { ...view, ...changes };
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", address()), 200);
}

/** arranging are the parts of a view with which the map is laid out anew: they show other nodes in another order. */
const arranging = ["group", "open", "closed", "external", "host", "project", "image", "node", "depth"];

/** change changes the view, and draws what follows from it. */
function change(changes, scroll = false) {
  const anew = arranging.some((name) => name in changes && String(changes[name]) !== String(view[name]));
  keep(anew ? { look: "", ...changes } : changes);
  draw(!anew, scroll);
}

/** draw draws all. With stay nothing moves but what is new. What has the focus keeps it, or else the map gets it. */
function draw(stay, scroll = false) {
  const focused = document.activeElement;
  outdated = false;
  fill();
  if (graph) {
    shown = shownOf(graph, view, time, shown.level);
    picture = pictureOf(shown);
    const known = new Set(graph.nodes.map((n) => n.id));
    map.draw(picture, { keep: stay && ((id) => known.has(id)), look: drawnOnce ? "" : view.look });
    drawnOnce ||= picture.nodes.length > 0;
    table.fill(shown, { ...view, now: time });
    const fresh = view.since ? shown.links.reduce((sum, l) => sum + (l.fresh || 0), 0) : -1;
    write($("counts"), countsOf(graph, shown, fresh, { ports: picture.unseen, labels: map.crowded }));
    renew($("warnings"), warningsOf(graph, on));
  }
  drawFreshness();
  const nothing = emptyState(graph, shown, failure, on), hint = hintOf(graph, shown);
  $("empty").hidden = !nothing && !hint;
  $("empty").classList.toggle("hint", !nothing);
  renew($("empty"), nothing || hint);
  mark(scroll);
  search.renew();
  const now = document.activeElement;
  if (focused !== document.body && (now === document.body || now.closest("[hidden]"))) map.focus(focused.dataset.id);
}

function drawFreshness() {
  $("freshness").textContent = freshness({ time, failure, paused: source.paused });
  $("freshness").classList.toggle("trouble", !!failure);
}

/** mark marks what is selected in map and table alike, and shows its panel. */
function mark(scroll) {
  const selected = selection();
  map.select(selected.ids);
  table.select(selected.keys, scroll);
  const content = selected.panel || (view.panel === "targets" && graph && targetsPanel(graph, time)) || (view.panel === "unread" && graph && unreadPanel(graph, on));
  $("panel").hidden = !content;
  const shut = html("button", { type: "button", className: "shut", title: "Close (Esc)", "aria-label": "Close", onclick: () => select("", "") }, "×");
  renew($("panel"), content && [shut, content]);
}

/** selection is what view.select means: a node's ID, a line's, or the key of a link. */
function selection() {
  const id = view.select;
  const node = picture.byID.get(id)?.node;
  if (node) return { ids: [id], keys: shown.links.filter((l) => l.client === id || l.server === id).map(keyOf), panel: nodePanel(node, shown, graph, time, on) };
  const line = id && picture.lines.find((l) => l.id === id || l.keys.includes(id));
  if (line) return { ids: [line.id], keys: line.id === id ? line.keys : [id], panel: linePanel(line.id === id ? line : { ...line, links: line.links.filter((l) => keyOf(l) === id) }, shown, time, on) };
  const link = id && shown.links.find((l) => keyOf(l) === id); // inside a group
  return link ? { ids: [link.client], keys: [id], panel: linePanel({ from: link.client, to: link.server, links: [link] }, shown, time, on) } : { ids: [], keys: [] };
}

function select(kind, id) {
  const before = view.select, inPanel = $("panel").contains(document.activeElement);
  change({ select: id, panel: "" }, kind !== "link");
  if (!id && inPanel) map.focus(before);
  if (kind === "link") map.show(picture.lines.find((l) => l.keys.includes(id))?.id);
  if (id) say(picture.byID.has(id) ? describe(picture.byID.get(id)) : `Link selected: ${$("panel").querySelector("h2")?.textContent ?? ""}`);
}

function panel(name) {
  change({ select: "", panel: name });
  $("panel").focus();
}

const withID = (list, id) => [...new Set([...list, id])];
const without = (list, ...ids) => list.filter((id) => !ids.includes(id));

function open(node) {
  const id = node.id || node;
  const onMap = $("map").contains(document.activeElement);
  change({ open: withID(view.open, id), closed: without(view.closed, id), select: "" });
  if (onMap) $("map").focus();
  say(`Opened: ${count(picture.nodes.length, "node")} now`);
}

/** close puts a box or group together again. */
function close(box) {
  const id = box.closes || box;
  const opened = view.open.includes(id);
  change({ open: without(view.open, id), closed: opened ? view.closed : withID(view.closed, id), select: "" });
}

function clear() {
  change({ ...Object.fromEntries(filters.map((name) => [name, initial[name]])), ...forget("external"), closed: [] });
}

function neighbours(id) {
  change({ node: id, select: id });
}

/** jump goes to a node wherever it is: filters and groups that hide it are opened. */
function jump(id) {
  const node = graph.nodes.find((n) => n.id === id);
  if (!node) return say("It is not there any more", true);
  if (!shown.into.has(id)) clear();
  for (let i = 0; i < 4 && !picture.byID.has(id); i++) {
    change({ open: withID(view.open, shown.into.get(id)), closed: without(view.closed, ...groupsHolding(node)) });
  }
  select("node", id);
  map.show(id);
}

/** point shows what is behind that which is pointed at. */
function point(kind, thing, e) {
  const tip = $("tip");
  tip.hidden = !thing || kind === "box";
  if (tip.hidden) return;
  tip.replaceChildren(...tipOf(kind, thing));
  const frame = tip.parentElement.getBoundingClientRect();
  const x = e.clientX - frame.left + 14, y = e.clientY - frame.top + 14;
  tip.style.left = `${Math.max(4, Math.min(x, frame.width - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + tip.offsetHeight > frame.height ? Math.max(4, y - tip.offsetHeight - 24) : y}px`;
}

function tipOf(kind, thing) {
  const lines = (texts) => texts.filter(Boolean).map((t) => html("div", {}, t));
  if (kind === "plate") return [html("b", {}, `Published by the host: ${thing.label}`), ...lines([...thing.to].map((id) => "leads to " + nameOf(picture.byID.get(id).node)))];
  if (kind === "line") {
    const name = (id) => placed(picture.byID.get(id).node);
    return [html("b", {}, `${name(thing.from)} → ${name(thing.to)}`), ...lines(thing.links.slice(0, 8).map((l) =>
      linkText(l, time) + (l.evidence === "both" ? "" : `, seen by the ${l.evidence} only`))),
      ...lines([thing.links.length > 8 && `and ${number(thing.links.length - 8)} more`])];
  }
  const { node } = thing;
  const about = (end, verb) => {
    const links = shown.links.filter((l) => l[end] === node.id);
    return links.length ? `${verb} ${count(new Set(links.map((l) => (end === "client" ? l.server : l.client))).size, "other")} over ${count(links.length, "link")}` : "";
  };
  return [html("b", {}, nameOf(node)), ...lines([node.image, [node.project, node.host].filter(Boolean).join(" on "), node.reason,
    about("client", "calls"), about("server", "called by"), node.members && "click to open"])];
}

/** say tells those who have the page read out, and with show also those who see it. */
function say(text, show = false) {
  write($("said"), text);
  if (!show) return;
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => ($("toast").hidden = true), 4000);
}

const copied = async (text) => say((await copy(text)) ? "Copied" : "The browser does not permit copying", true);

/** fill fills the fields with what the view is and what there is to choose from. */
function fill() {
  const nodes = graph?.nodes || [];
  for (const name of ["host", "project", "image"]) options(form.elements[name], [...new Set(nodes.map((n) => n[name]).filter(Boolean))].sort(), view[name]);
  const ports = [...new Set((graph?.links || []).map((l) => l.port))].sort((a, b) => a - b);
  renew($("ports"), ports.slice(0, 500).map((p) => html("option", { value: String(p) })));
  for (const name of ["group", "host", "project", "image", "port", "external", "state", "unlinked", "depth"]) {
    if (document.activeElement !== form.elements[name]) form.elements[name].value = view[name];
  }
  $("depth-field").hidden = !(view.node || view.host || view.project || view.image);
  $("clear").hidden = !filters.some((name) => view[name] !== initial[name] && name !== "depth") && !view.closed.length;
  if (graph) $("at").min = String(-graph.windowSeconds);
  if (document.activeElement !== $("at")) $("at").value = view.at ? String(Math.round((Date.parse(view.at) - time) / 1000)) : "0";
  $("at-text").textContent = view.at ? clock(view.at, time) : "now";
  const since = $("since");
  if (![...since.options].some((o) => o.value === view.since)) since.append(html("option", { value: view.since }, /^\d+[mh]$/.test(view.since) ? view.since : clock(view.since, time)));
  since.value = view.since;
  if (document.activeElement !== $("table-filter")) $("table-filter").value = view.filter;
  $("columns").setAttribute("aria-pressed", String(view.columns === "all"));
  $("pause").setAttribute("aria-pressed", String(source.paused));
  $("pause").textContent = source.paused ? "Go on" : "Pause";
}

function options(field, values, chosen) {
  const all = ["", ...(chosen && !values.includes(chosen) ? [chosen] : []), ...values];
  if (field.options.length === all.length && all.every((v, i) => field.options[i].value === v)) return;
  field.replaceChildren(...all.map((v) => html("option", { value: v }, v || "all")));
  field.value = chosen;
}

function pause(paused = !source.paused) {
  source.paused = paused;
  change({});
  say(paused ? "Paused" : "Live");
  if (!paused) source.ask();
}

async function save(kind) {
  $("save").open = false;
  if (kind === "address") return copied(new URL(address(), base).href);
  const [type, end] = types[kind];
  let content;
  if (kind === "png") content = await pngOf(map.whole(drawingOf)).catch(() => null);
  else if (kind === "svg") content = map.whole(drawingOf);
  else content = writers[kind](shown, graph, view.at);
  if (!content) return say("The browser cannot draw so large a picture: save it as SVG", true);
  download(new Blob([content], { type }), `outpost-${new Date(view.at || time).toISOString().slice(0, 19).replaceAll(":", "")}.${end}`);
}

/** theme sets light or dark; unset, it is the system's. */
function theme(chosen) {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const now = chosen || system;
  document.documentElement.dataset.theme = chosen || "";
  $("theme").textContent = now === "dark" ? "Light" : "Dark";
  $("theme").onclick = () => theme(now === "dark" ? "light" : "dark");
}

const keys = {
  "/": () => $("search").focus(), "?": () => $("legend").showModal(), p: () => pause(), l: tidy, t: () => (document.querySelector("tbody tr") || $("table")).focus(),
  n: () => picture.byID.has(view.select) && neighbours(view.select), "+": () => map.viewport.zoom(1.25), "=": () => map.viewport.zoom(1.25), "-": () => map.viewport.zoom(0.8), 0: fit,
  Escape: () => ($("save").open ? shut() : select("", "")),
};

function fit() {
  map.viewport.fit();
  keep({ look: "" });
}

function tidy() {
  map.draw(picture);
  keep({ look: "" });
}

/** shut closes the menu. */
function shut() {
  $("save").open = false;
  $("save").firstElementChild.focus();
}

document.addEventListener("pointerdown", (e) => $("save").contains(e.target) || ($("save").open = false));

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || $("legend").open) return;
  if (e.target.matches("input:not([type=range]), select, textarea") && e.key !== "Escape") return;
  const action = keys[e.key];
  if (!action) return;
  e.preventDefault();
  action();
});
form.addEventListener("submit", (e) => e.preventDefault());
form.addEventListener("input", (e) => {
  if (!e.target.name) return;
  change({ [e.target.name]: e.target.name === "depth" ? Math.min(9, Math.max(1, e.target.valueAsNumber || 1)) : e.target.value, ...forget(e.target.name) });
});

/** forget is what a field takes back of the groups that were opened and closed. */
function forget(name) {
  if (name === "group") return { open: [], closed: [] };
  return name === "external" ? { open: without(view.open, "external"), closed: without(view.closed, "external") } : {};
}

$("clear").onclick = clear;
$("pause").onclick = () => pause();
$("at").oninput = (e) => change({ at: Number(e.target.value) < 0 ? new Date(time + 1000 * e.target.value).toISOString() : "" });
$("since").oninput = (e) => change({ since: e.target.value === "now" ? new Date(time).toISOString() : e.target.value });
$("table-filter").oninput = (e) => change({ filter: e.target.value });
$("columns").onclick = () => change({ columns: view.columns ? "" : "all" });
$("copy").onclick = () => copied(table.text());
$("save").addEventListener("click", (e) => e.target.dataset.form && save(e.target.dataset.form));
$("zoom-in").onclick = keys["+"];
$("zoom-out").onclick = keys["-"];
$("fit").onclick = keys[0];
$("tidy").onclick = keys.l;
$("help").onclick = keys["?"];
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(document.documentElement.dataset.theme));
if (matchMedia("(max-width: 760px)").matches) $("filters-fold").open = false;
theme("");
draw(false);
source.ask();
