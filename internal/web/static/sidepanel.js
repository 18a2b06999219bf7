// The side panel: it finds what the address selects, and shows its details.
import { button, html, updateChildren } from "./html.js";
import { findGone, gonePanel, goneTitle, LastKnown } from "./gone.js";
import { incompletePanel, linePanel, nodePanel, targetsPanel } from "./panel.js";
import { linkKey } from "./view.js";

/** SidePanel shows the details of what is selected in an element. on has what panel.js and gone.js need, changeView, select and announce. */
export class SidePanel {
  #element;
  #on;
  #lastKnown = new LastKnown();
  #saidGone = "";
  #state = {};

  constructor(element, on) {
    this.#element = element;
    this.#on = on;
  }

  /**
   * update shows the panel of a state: the page's view, graph, shown nodes, scene, time, and the selected ID. It returns the IDs to mark on
   * the map, the group to mark without its lines, and the keys of the links to mark in the table.
   */
  update(state) {
    this.#state = state;
    const { ids, group, keys, panel } = this.#selection(), { view, graph, time } = state;
    const gone = this.#gone();
    const content = panel || gone?.panel || (view.panel === "targets" && targetsPanel(graph, time)) || (view.panel === "incomplete" && incompletePanel(graph, this.#on));
    const close = () => (gone?.isNode ? this.#on.changeView({ node: "", select: "", panel: "" }) : this.#on.select("", ""));
    this.#element.hidden = !content;
    updateChildren(this.#element, content && [button("×", close, { className: "close", title: "Close (Esc)", "aria-label": "Close" }), content]);
    return { ids, group, keys };
  }

  /** #selection finds the selected node, line or link. Its panel is missing if the map lacks it. */
  #selection() {
    const { id, scene, shown, graph, time } = this.#state;
    if (!id) return { ids: [], keys: [] };
    const node = scene.byID.get(id)?.node;
    if (node) return { ids: [id], keys: shown.links.filter((l) => l.client === id || l.server === id).map(linkKey), panel: nodePanel(node, shown, graph, time, this.#on) };
    const line = scene.lines.find((l) => l.id === id);
    if (line) return { ids: [id], keys: line.keys, panel: linePanel(line, shown, time, this.#on) };
    return this.#member() ?? this.#link();
  }

  /** #member is #selection for a node inside a group: the group and the lines with its links are marked; undefined if no group has it. */
  #member() {
    const { id, shown, scene, graph, time } = this.#state;
    const group = shown.groupByNode.get(id), member = graph.nodes.find((n) => n.id === id);
    if (!group || !member) return undefined;
    const own = shown.ungrouped.links.filter((l) => l.client === id || l.server === id);
    const keys = own.map((l) => linkKey({ ...l, client: shown.groupByNode.get(l.client), server: shown.groupByNode.get(l.server) })), has = new Set(keys);
    const lines = scene.lines.filter((l) => l.keys.some((key) => has.has(key)));
    return { ids: lines.map((l) => l.id), group, keys, panel: nodePanel(member, shown, graph, time, this.#on) };
  }

  /** #link is #selection for the key of a link. A link inside a group has no line, so its client is marked. */
  #link() {
    const { id, scene, shown, time } = this.#state;
    const link = shown.links.find((l) => linkKey(l) === id);
    if (!link) return { ids: [], keys: [] };
    const line = scene.lines.find((l) => l.keys.includes(id)) ?? { id: link.client, from: link.client, to: link.server };
    return { ids: [line.id], keys: [id], panel: linePanel({ ...line, links: [link] }, shown, time, this.#on) };
  }

  /** #gone returns the panel about what the address names and the map lacks. isNode: the filter by a node names it. */
  #gone() {
    const { view, graph, time } = this.#state;
    this.#lastKnown.update([view.select, view.node], graph, time);
    const selected = findGone(view.select, graph), isNode = !selected && !!view.node;
    const gone = isNode ? findGone(view.node, graph) : selected, known = gone && this.#lastKnown.get(gone.missing);
    const title = gone ? goneTitle(gone, graph, known) : "";
    if (title && title !== this.#saidGone) this.#on.announce(title);
    this.#saidGone = title;
    return gone && { panel: gonePanel(gone, graph, time, known, isNode ? this.#on.showNeighbours : this.#on.jumpTo, this.#on), isNode };
  }
}
