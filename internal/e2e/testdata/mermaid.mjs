// Parses the flowchart on standard input with Mermaid, and prints its labels as JSON.
// Node runs it in the directory of `make npm`.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

globalThis.window = new JSDOM("").window; // Mermaid sanitizes labels with DOMPurify, which needs a document
globalThis.document = window.document;
const { default: mermaid } = await import("./package/dist/mermaid.esm.min.mjs");

// Until it draws a label, Mermaid keeps the entity #34; as ﬂ°°34¶ß.
const decoded = (text) => text.replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(code));

const text = readFileSync(0, "utf8");
await mermaid.parse(text);
const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
const nodes = db.getVertices();
const label = (id) => decoded(nodes.get(id).text);
console.log(JSON.stringify({
  nodes: [...nodes.keys()].map(label),
  clusters: db.getSubGraphs().map(({ title }) => decoded(title)),
  links: db.getEdges().map(({ start, end, text }) => `${label(start)} > ${label(end)}: ${text}`),
}));
