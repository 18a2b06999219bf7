// The side panel: it finds what the address selects, and shows its details.
import { button, html, updateChildren } from "./html.js";
import { findGone, gonePanel, goneTitle, LastKnown } from "./gone.js";
import { incompletePanel, linePanel, nodePanel, targetsPanel } from "./panel.js";
import { drawnKey, linkKey } from "./view.js";

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
   * the map and the keys of the links to mark in the table. For a node inside a group it also returns that group, which is marked without its
   * lines, the node's own links by the IDs of their lines, and the rows of the table: its links without groups.
   */
  update(state) {
    this.#state = state;
    const { panel, ...selection } = this.#selection(), { view, graph, time } = state;
    const gone = this.#gone();
    const content = panel || gone?.panel || (view.panel === "targets" && targetsPanel(graph, time)) || (view.panel === "incomplete" && incompletePanel(graph, this.#on));
    const close = () => (gone?.isNode ? this.#on.changeView({ node: "", select: "", panel: "" }) : this.#on.select("", ""));
    this.#element.hidden = !content;
    updateChildren(this.#element, content && [button("×", close, { className: "close", title: "Close (Esc)", "aria-label": "Close" }), content]);
    return selection;
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

  /** #member is #selection for a node inside a group; undefined if no group has it. */
  #member() {
    const { id, shown, scene, graph, time } = this.#state;
    const group = shown.groupByNode.get(id), member = graph.nodes.find((n) => n.id === id);
    if (!group || !member) return undefined;
    const links = shown.ungrouped.links.filter((l) => l.client === id || l.server === id);
    const own = Map.groupBy(links, (l) => `${shown.groupByNode.get(l.client)} ${shown.groupByNode.get(l.server)}`), ids = scene.lines.map((l) => l.id).filter((line) => own.has(line));
    return { ids, group, own, keys: links.map(linkKey), rows: { links, nodes: shown.ungrouped.nodes }, panel: nodePanel(member, shown, graph, time, this.#on) };
  }

  /** #link is #selection for the key of a link, of the map or between members of its groups. A link inside a group has no line, so its client is marked. */
  #link() {
    const { id, scene, shown, time } = this.#state;
    const at = [shown, shown.ungrouped].find(({ links }) => links.some((l) => linkKey(l) === id)), link = at?.links.find((l) => linkKey(l) === id);
    if (!link) return { ids: [], keys: [] };
    const key = drawnKey(shown, id), line = scene.lines.find((l) => l.keys.includes(key));
    return { ids: [line?.id ?? shown.groupByNode.get(link.client) ?? link.client], keys: [key], panel: linePanel({ from: link.client, to: link.server, links: [link] }, at, time, this.#on) };
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
