// Names, numbers and times as people read them, and the IDs of nodes as the server writes them.

/** escapePart writes a name as a part of the ID of a node. */
export const escapePart = (text) => text.replaceAll("%", "%25").replaceAll("/", "%2F");

/** nodeID returns the ID of a node as in /v1/graph. */
export const nodeID = (kind, ...parts) => [kind, ...parts.map(escapePart)].join("/");

/** isGroup reports whether a node is a group of nodes. */
export const isGroup = (node) => node.members !== undefined;

/** isUnnamedExternal reports whether a node is an external address without a configured name. */
export const isUnnamedExternal = (node) => node.kind === "external" && (/^\d+\.\d+\.\d+\.\d+$/.test(node.name) || URL.canParse(`http://[${node.name}]`));

/** displayName returns the name of a node on the map. */
export function displayName(node) {
  return node.kind === "host" || node.kind === "ambiguous" ? `${node.kind} ${node.name}` : node.name;
}

/** qualifiedName returns the name of a node with its host. */
export const qualifiedName = (node) => (node.host && node.kind !== "host" ? `${displayName(node)} on ${node.host}` : displayName(node));

/** nameDistinctly returns a function that names some nodes, with their hosts where several of them have one name. */
export function nameDistinctly(nodes) {
  const counts = new Map();
  for (const name of nodes.map(displayName)) counts.set(name, (counts.get(name) || 0) + 1);
  return (node) => (counts.get(displayName(node)) > 1 ? qualifiedName(node) : displayName(node));
}

/** splitImage returns the parts of the name of an image: its path with the registry, and its tag and digest, which may be empty. */
export function splitImage(image = "") {
  const [, path, tag = "", digest = ""] = /^([^@]*?)(?::([^/:@]*))?(?:@([^]*))?$/.exec(image);
  return { path, tag, digest };
}

/** isLoopback reports whether an endpoint has a loopback address. */
export const isLoopback = ({ address }) => /^((::ffff:)?127\.|::1$)/.test(address);

/** formatPort writes the port of a link or listener, with its protocol unless that is TCP, such as 53/udp. */
export const formatPort = ({ port, protocol }) => (protocol ? `${port}/${protocol}` : String(port));

/** comparePorts orders texts of formatPort by their numbers. */
export const comparePorts = (a, b) => parseInt(a, 10) - parseInt(b, 10) || (a < b ? -1 : a > b ? 1 : 0);

/**
 * exposedPorts returns the ports at which a host is reached for a node, as formatPort writes them, ascending: published ones, and those of listeners on the host's network that
 * are not on loopback.
 */
export function exposedPorts(node) {
  const own = node.details?.hostNetwork ? (node.details.listening || []).filter((l) => !isLoopback(l)).map(formatPort) : [];
  return [...new Set([...publishedPorts(node), ...own])].sort(comparePorts);
}

/** publishedPorts returns the host ports of a node, or of the members of a group, as formatPort writes them, ascending. */
export function publishedPorts(node) {
  const ports = node.publishes || new Set((node.details?.listening || []).flatMap((l) => l.published.map(({ port }) => formatPort({ port, protocol: l.protocol }))));
  return [...ports].sort(comparePorts);
}

/** stateOf returns the state of a container if it is not running and healthy: paused, restarting, unhealthy or starting. */
export function stateOf({ details, past }) {
  if (!details || past) return "";
  if (details.state && details.state !== "running") return details.state;
  return details.health && details.health !== "healthy" ? details.health : "";
}

const collator = new Intl.Collator("en", { numeric: true });

/** compareNatural orders texts with the numbers in them by their values. */
export const compareNatural = collator.compare;

/** escapeFormula returns a text that no spreadsheet reads as a formula. */
export const escapeFormula = (text = "") => (/^[=+\-@\t\r]/.test(text) ? "'" + text : text);

const decimal = new Intl.NumberFormat("en-US");

/** formatNumber writes a number with thousands separators. */
export const formatNumber = (n) => decimal.format(n);

/** formatCount writes a number of things in singular or plural. */
export const formatCount = (n, one, many = one + "s") => `${formatNumber(n)} ${n === 1 ? one : many}`;

/** formatSubtitle returns the second line of a node. */
export function formatSubtitle(node) {
  if (node.members === 1 && node.image) return node.image;
  if (isGroup(node)) return `${node.kind}: ${formatCount(node.members, "node")}` + (node.inside ? `, ${formatCount(node.inside, "link")} inside` : "");
  switch (node.kind) {
    case "container": return node.image || "";
    case "host": return "its own processes";
    case "unknown": return "not identified";
    case "ambiguous": return `one of ${formatNumber((node.candidates || []).length)}`;
    default: return "external";
  }
}

/** truncate shortens a text in the middle, where names differ least. */
export function truncate(text, length) {
  const letters = [...text];
  if (letters.length <= length) return text;
  const tail = Math.floor((length - 1) / 2);
  return letters.slice(0, length - 1 - tail).join("") + "…" + letters.slice(letters.length - tail).join("");
}

/** capitalize writes the first letter in upper case. */
export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** formatTime writes the local time of day, with the date if it is another day than now. */
export function formatTime(time, now = Date.now()) {
  const at = new Date(time);
  const day = new Date(now).toDateString() === at.toDateString() ? "" : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
  return day + at.toTimeString().slice(0, 8);
}

const two = (n) => String(n).padStart(2, "0");

/** formatDuration writes a number of seconds in the unit that suits it. */
export function formatDuration(seconds) {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** formatAgo writes the time that has passed since another one. */
export function formatAgo(time, now) {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  return seconds < 5 ? "now" : `${formatDuration(seconds)} ago`;
}

/** formatBytes writes an amount of data in decimal units. */
export function formatBytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; n >= 1000 && unit < units.length - 1; unit++) n /= 1000;
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

/** formatEndpoint writes an address and port, with the protocol unless that is TCP; IPv6 addresses get brackets. */
export const formatEndpoint = (at) => `${at.address.includes(":") ? `[${at.address}]` : at.address}:${formatPort(at)}`;
