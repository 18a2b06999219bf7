// References name nodes in the page's address by something that outlives their containers. The server's file reference.go has the same
// rules and lists the forms.
import { nodeID } from "./format.js";
import { predecessorIDs } from "./succession.js";

const known = new WeakMap(); // the references of the nodes of a graph

/** referencesOf returns the references of the nodes of a graph. */
function referencesOf(nodes) {
  if (!known.has(nodes)) known.set(nodes, new References(nodes));
  return known.get(nodes);
}

const order = (a, b) => !!a.past - !!b.past || (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1);

const nameReference = (n, name = n.name) => nodeID("container", n.host || "", name);
const serviceReference = (n) => nodeID("container", n.host || "", n.project, n.service);
const isContainer = (n) => n.kind === "container";

/** References finds nodes by references. Of several nodes with one reference, the first is meant. */
class References {
  #byID = new Map();
  #byPredecessor = new Map();
  #byName = new Map();
  #byService = new Map(); // all nodes of each
  #byFormerName = new Map();

  constructor(nodes) {
    const add = (map, key, n) => map.has(key) || map.set(key, n);
    for (const n of [...nodes].sort(order)) {
      this.#byID.set(n.id, n);
      if (n.kind === "ambiguous") add(this.#byName, nodeID("ambiguous", n.host || "", n.name), n);
      if (!isContainer(n)) continue;
      predecessorIDs(n).forEach((id) => add(this.#byPredecessor, id, n));
      add(this.#byName, nameReference(n), n);
      if (n.project && n.service) this.#byService.set(serviceReference(n), [...(this.#byService.get(serviceReference(n)) || []), n]);
      for (const { name } of n.predecessors || []) add(this.#byFormerName, nameReference(n, name), n);
    }
  }

  find(reference) {
    const named = [this.#byName.get(reference), this.#byService.get(reference)?.[0]].filter(Boolean).sort(order);
    return this.#byID.get(reference) || this.#byPredecessor.get(reference) || named[0] || this.#byFormerName.get(reference);
  }

  /** refer returns the reference of a node: its service if that has one container, or else its name, or else its ID. */
  refer(id) {
    const n = this.#byID.get(id);
    return (n ? this.#formsOf(n) : []).find((form) => this.find(form) === n) ?? id;
  }

  /** #formsOf returns the possible references of a node, the best first. */
  #formsOf(n) {
    if (n.candidates?.some((id) => id.startsWith("container/"))) return [nodeID("ambiguous", n.host || "", n.name)];
    if (!isContainer(n)) return [];
    const others = (this.#byService.get(n.project && n.service ? serviceReference(n) : "") || []).filter((o) => !o.past || n.past);
    return [...(others.length === 1 ? [serviceReference(n)] : []), nameReference(n)];
  }
}

/** find returns the node that a reference names; undefined if it names no node. */
export const find = (nodes, reference) => referencesOf(nodes).find(reference);

/** resolve returns the ID of the node that a reference names, or the reference itself if it names no node. */
export const resolve = (nodes, reference) => referencesOf(nodes).find(reference)?.id ?? reference;

/** refer returns the reference of the node with an ID, or the ID itself if no node has it. */
export const refer = (nodes, id) => referencesOf(nodes).refer(id);

const isPort = (text) => /^\d{1,5}(\/[a-z]+)?$/.test(text);
const vias = ["direct", "published", "host", "loopback", "resolver"];
const startsNode = /^(container|host|external|ambiguous|unknown|service|project|image)(\/|$)/;

/**
 * splitSelection returns the possible parts of a selection: [node], [client, server] of a line, or [client, server, port, via] of a
 * link. Blanks separate them, and names may have blanks.
 */
export function splitSelection(text) {
  const words = text.split(" "), isLink = words.length > 3 && isPort(words.at(-2)) && vias.includes(words.at(-1));
  const ends = isLink ? words.slice(0, -2) : words, rest = isLink ? words.slice(-2) : [];
  const pairs = ends.slice(1).map((_, i) => [ends.slice(0, i + 1).join(" "), ends.slice(i + 1).join(" "), ...rest]);
  return [...(isLink ? [] : [[text]]), ...pairs].filter(([client, server]) => startsNode.test(client) && (server === undefined || startsNode.test(server)));
}

/** replaceParts replaces the IDs or references in a selection. It returns the selection itself if nothing has them. */
function replaceParts(text, exists, replace) {
  const parts = splitSelection(text).find(([client, server]) => exists(client) && (server === undefined || exists(server)));
  return parts ? [...parts.slice(0, 2).map(replace), ...parts.slice(2)].join(" ") : text;
}

/** resolveSelection replaces the references in a selection by IDs. isGroup reports whether an ID is that of a group. */
export function resolveSelection(nodes, text, isGroup) {
  const references = referencesOf(nodes);
  return replaceParts(text, (part) => !!references.find(part) || isGroup(part), (part) => references.find(part)?.id ?? part);
}

/** referSelection replaces the IDs and references in a selection by the references of their nodes now. */
export function referSelection(nodes, text, isGroup) {
  const references = referencesOf(nodes);
  return replaceParts(resolveSelection(nodes, text, isGroup), (part) => !!references.find(part) || isGroup(part), (part) => references.refer(part));
}
