// What things are called: IDs as the server makes them, and words for people.

const part = (text) => text.replaceAll("%", "%25").replaceAll("/", "%2F");

/** idOf returns the ID of a node as /v1/graph has it. */
export const idOf = (kind, ...parts) => [kind, ...parts.map(part)].join("/");

/** isGroup reports whether a node stands for others. */
export const isGroup = (node) => node.members !== undefined;

/** isUnnamed reports whether a node is an external address to which nobody gave a name. */
export const isUnnamed = (node) => node.kind === "external" && (/^\d+\.\d+\.\d+\.\d+$/.test(node.name) || URL.canParse(`http://[${node.name}]`));

/** nameOf is what a node is called in a picture. */
export function nameOf(node) {
  return node.kind === "host" || node.kind === "ambiguous" ? `${node.kind} ${node.name}` : node.name;
}

/** placed is what a node is called where others may be called so too. */
export const placed = (node) => (node.host && node.kind !== "host" ? `${nameOf(node)} on ${node.host}` : nameOf(node));

/** portsOf returns the ports at which hosts publish a node, or what is in a group, ascending. */
export function portsOf(node) {
  const ports = node.publishes || new Set((node.details?.listening || []).flatMap((l) => l.published.map((p) => p.port)));
  return [...ports].sort((a, b) => a - b);
}

const collator = new Intl.Collator("en", { numeric: true });

/** compareTexts orders texts as people do, with numbers in them by their size. */
export const compareTexts = collator.compare;

/** plain is a text of which no spreadsheet makes a formula. */
export const plain = (text = "") => (/^[=+\-@\t\r]/.test(text) ? "'" + text : text);

const figures = new Intl.NumberFormat("en-US");

/** number writes a number as people do. */
export const number = (n) => figures.format(n);

/** count writes a number of things. */
export const count = (n, one, many = one + "s") => `${number(n)} ${n === 1 ? one : many}`;

/** subtitleOf is what stands below a node's name. */
export function subtitleOf(node) {
  if (isGroup(node)) return `${node.kind}: ${count(node.members, "node")}` + (node.inside ? `, ${count(node.inside, "link")} inside` : "");
  switch (node.kind) {
    case "container": return node.image || "";
    case "host": return "its own processes";
    case "ambiguous": return `one of ${number((node.candidates || []).length)}`;
    default: return "external";
  }
}

/** clip shortens a text in the middle, where names differ least. */
export function clip(text, length) {
  const letters = [...text];
  if (letters.length <= length) return text;
  const tail = Math.floor((length - 1) / 2);
  return letters.slice(0, length - 1 - tail).join("") + "…" + letters.slice(letters.length - tail).join("");
}

/** clock is a time of day, with the date if that is another day, both where the reader is. */
export function clock(time, now = Date.now()) {
  const at = new Date(time);
  const day = new Date(now).toDateString() === at.toDateString() ? "" : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return day + at.toTimeString().slice(0, 8);
}

const two = (n) => String(n).padStart(2, "0");

/** ago says how long ago a time was. */
export function ago(time, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 5) return "now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

/** linkText says of a link what it is, but for its ends. */
export const linkText = (l, now) =>
  `port ${l.port}, ${l.via}, ` + (l.live ? (l.uncounted ? "live then" : count(l.connections, "connection")) : `past, last seen ${ago(l.lastSeen, now)}`);

/** bytes writes an amount of data. */
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1000;
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

/** endpoint is an address and port as they are usually written. */
export const endpoint = ({ address, port }) => `${address.includes(":") ? `[${address}]` : address}:${port}`;
