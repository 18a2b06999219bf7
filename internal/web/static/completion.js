// Completion of the search field: the terms of the filter query that a text may become.
import { choices, fieldNames, parseQuery } from "./query.js";

const maxValues = 8;

/** complete returns suggestions for a text: {term} to add to the query, or {fill} as the start of a term. isFound says that nodes match the text. */
export function complete(text, { nodes, links }, isFound) {
  const [, minus, field, value] = /^(-?)(?:([a-z]+):)?(.*)$/is.exec(text.trim());
  const written = value.replaceAll('"', "");
  if (field === undefined) return completeText(minus, written, isFound);
  const name = field.toLowerCase();
  if (!fieldNames.includes(name)) return [];
  const found = valuesOf(name, nodes, links).filter((v) => v.toLowerCase().includes(written.toLowerCase())).slice(0, maxValues);
  const typed = written && (written.includes("*") || !found.length) ? [written] : [];
  return [...new Set([...typed, ...found])].map((v) => ({ term: writeTerm(v, name, minus) })).filter(isValid);
}

function completeText(minus, text, isFound) {
  if (!text) return [];
  const fields = fieldNames.filter((name) => name.startsWith(text.toLowerCase())).map((name) => ({ fill: `${minus}${name}:` }));
  const terms = minus ? ["-"] : isFound ? ["", "-"] : [];
  return [...fields, ...terms.map((sign) => ({ term: writeTerm(text, "", sign) }))].filter(isValid);
}

const isValid = ({ term }) => !term || !parseQuery(term).error;

/** valuesOf returns the values of a field in a graph. */
function valuesOf(field, nodes, links) {
  if (choices[field]) return choices[field];
  if (field === "port") return [...new Set(links.map((l) => l.port))].sort((a, b) => a - b).map(String);
  if (field === "address") return [...new Set(nodes.flatMap((n) => (n.details?.networks || []).flatMap((network) => network.addresses)))];
  return [...new Set(nodes.map((n) => n[field]).filter(Boolean))].sort();
}

/** writeTerm writes a term of the query. The value is in quotes if it needs them. */
export function writeTerm(value, field = "", minus = "") {
  const isPlain = /^[^\s":-][^\s":]*$/.test(value);
  return minus + (field && `${field}:`) + (isPlain ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);
}
