// The filter query: terms that select or exclude nodes and links. The server reads the same syntax in graph/query.go.
import { linkState } from "./activity.js";
import { publishedPorts } from "./format.js";

const maxLength = 1000; // characters
const maxTerms = 50;

/** textFields are the fields that may have an empty value, in quotes. */
const textFields = ["name", "project", "service", "host", "image"];

/** parseQuery returns the terms of a query. If it cannot be parsed, there are no terms, and error is the reason. */
export function parseQuery(text) {
  try {
    return { terms: readTerms(text), error: "" };
  } catch (e) {
    if (!(e instanceof QueryError)) throw e;
    return { terms: [], error: `q: ${e.message}` };
  }
}

/** compileQuery returns the conditions of a query for nodes and for links. A query that cannot be parsed has none. */
export function compileQuery(text) {
  const { terms } = parseQuery(text);
  return { nodes: conditions(terms.filter((t) => !t.isLink)), links: conditions(terms.filter((t) => t.isLink)) };
}

/** conditions joins terms: the positive terms of one field are alternatives, and different fields must all hold. names reports whether a positive one has a field. */
function conditions(terms) {
  const positive = Object.values(Object.groupBy(terms.filter((t) => !t.isNegative), (t) => t.field)), negative = terms.filter((t) => t.isNegative);
  return {
    selectsSome: positive.length > 0,
    names: (field) => positive.some(([t]) => t.field === field),
    selects: (item) => positive.every((alternatives) => alternatives.some((t) => t.matches(item))),
    excludes: (item) => negative.some((t) => t.matches(item)),
  };
}

class QueryError extends Error {}

const quote = (text) => JSON.stringify([...text].slice(0, 256).join(""));

/** termSyntax matches [-][field:]value. The value is in quotes, or ends at a blank. */
const termSyntax = /(-?)(?:([^ \t\r\n:"]*):)?(?:"((?:[^"\\]|\\[^])*)("?)|([^ \t\r\n]*))/y;

function readTerms(text) {
  if (text.length > 2 * maxLength || [...text].length > maxLength) throw new QueryError(`more than ${maxLength} characters`);
  const terms = [];
  let rest = trimStart(text);
  for (; rest; rest = trimStart(rest)) {
    if (terms.length === maxTerms) throw new QueryError(`more than ${maxTerms} terms`);
    termSyntax.lastIndex = 0;
    const [whole, minus, field, quoted, closing, plain] = termSyntax.exec(rest);
    const isQuoted = quoted !== undefined;
    if (isQuoted && !closing) throw new QueryError(`term ${quote(rest)}: the closing quote is missing`);
    if (isQuoted && /^[^ \t\r\n]/.test(rest.slice(whole.length))) throw new QueryError(`term ${quote(rest)}: a blank must follow the closing quote`);
    const value = isQuoted ? quoted.replace(/\\(["\\])/g, "$1") : plain;
    terms.push({ text: whole, isNegative: !!minus, ...compileTerm(whole, field, value, isQuoted) });
    rest = rest.slice(whole.length);
  }
  return terms;
}

const trimStart = (text) => text.replace(/^[ \t\r\n]+/, "");

/** compileTerm returns the field of a term, whether it is about links, and its predicate. */
function compileTerm(text, written, value, isQuoted) {
  const field = fold(written ?? ""), known = Object.hasOwn(fields, field);
  try {
    if (!value && !(isQuoted && textFields.includes(field))) throw new QueryError("no value");
    if (written !== undefined && (!known || !field)) {
      throw new QueryError(`unknown field ${quote(field)}: want one of ${Object.keys(fields).filter(Boolean).join(", ")}; put a text with a colon in quotes`);
    }
    return { field, value, isLink: linkFields.includes(field), matches: fields[field](value) };
  } catch (e) {
    if (e instanceof QueryError) e.message = `term ${quote(text)}: ${e.message}`;
    throw e;
  }
}

const isASCII = /^[\0-\x7f]*$/;

/** fold returns a text for comparison without regard to case, character by character as the server does. */
const fold = (text) => (isASCII.test(text) ? text.toLowerCase() : Array.from(text, (c) => [...c.toLowerCase()][0]).join(""));

/** glob returns a predicate for the whole of a text, in which * stands for any text. Each part matches at its first occurrence. */
function glob(pattern) {
  const parts = fold(pattern).split("*"), first = parts.shift(), last = parts.pop();
  return (text = "") => {
    text = fold(text);
    if (last === undefined) return text === first;
    if (!text.startsWith(first)) return false;
    let at = first.length;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return text.length - at >= last.length && text.endsWith(last);
  };
}

/** choose returns the predicate for the accepted values that a pattern matches. */
function choose(pattern, accepted) {
  const chosen = accepted.filter(glob(pattern));
  if (!chosen.length) throw new QueryError(`want one of ${accepted.join(", ")}`);
  return chosen;
}

const textMatcher = (name) => (value) => {
  const matches = glob(value);
  return (n) => matches(n[name]);
};

const choiceMatcher = (field, name = field) => (value) => {
  const chosen = choose(value, choices[field]);
  return (item) => chosen.includes(item[name]);
};

/** fields are the fields of terms, with a function that returns the predicate of a value. A term without a field has the field "". */
const fields = {
  name: textMatcher("name"), project: textMatcher("project"), service: textMatcher("service"), host: textMatcher("host"),
  image: imageMatcher, kind: choiceMatcher("kind"), address: addressMatcher,
  is: (value) => {
    const chosen = choose(value, choices.is);
    return (n) => chosen.some((property) => properties[property](n));
  },
  port: portMatcher,
  protocol: (value) => {
    const chosen = choose(value, choices.protocol);
    return (l) => chosen.includes(l.protocol || "tcp");
  },
  via: choiceMatcher("via"),
  state: (value) => {
    const chosen = choose(value, choices.state);
    return (l) => chosen.includes(l.live ? "live" : "past") || chosen.includes(linkState(l));
  },
  seen: choiceMatcher("seen", "evidence"),
  "": anyTextMatcher,
};

/** fieldNames are the names of the fields. */
export const fieldNames = Object.keys(fields).filter(Boolean);

const linkFields = ["port", "protocol", "via", "state", "seen"];

/** anyTextMatcher is for terms without a field. A value without * matches texts that contain it, and IDs that begin with it. */
function anyTextMatcher(value) {
  const matches = glob(value), part = fold(value);
  const texts = (n) => [n.name, n.project, n.service, n.image, n.host, ...addresses(n)];
  if (value.includes("*")) return (n) => [n.container, ...texts(n)].some((text) => matches(text));
  return (n) => fold(n.container || "").startsWith(part) || texts(n).some((text = "") => fold(text).includes(part));
}

/** addresses returns the addresses of a container, or the name of another end. */
function addresses(n) {
  if (n.kind === "external" || n.kind === "ambiguous") return [n.name];
  return (n.details?.networks || []).flatMap((network) => network.addresses).filter(Boolean);
}

function addressMatcher(value) {
  const [text, length, ...more] = value.split("/"), network = parseAddress(text);
  const bits = length === undefined ? network && unmap(network).length * 8 : /^(0|[1-9]\d{0,2})$/.test(length) ? Number(length) : NaN;
  if (network && !more.length && bits <= network.length * 8) {
    const prefix = length === undefined ? unmap(network) : network;
    return (n) => addresses(n).some((name) => isIn(parseAddress(name), prefix, bits));
  }
  if (network && length !== undefined) throw new QueryError("want an address, a network such as 172.18.0.0/16, or a name");
  const matches = glob(value);
  return (n) => addresses(n).some((name) => matches(name));
}

/** isIn reports whether the first bits of an address are those of a network. */
function isIn(address, network, bits) {
  const bytes = address && unmap(address);
  return bytes?.length === network.length && bytes.every((byte, i) => (byte ^ network[i]) >> Math.min(8, Math.max(0, 8 - bits + 8 * i)) === 0);
}

/** parseAddress returns the bytes of an IP address without a zone; null if the text is another. */
function parseAddress(text) {
  if (!text.includes(":")) return parseIPv4(text);
  const [head, tail, ...more] = text.split("::"), isShort = tail !== undefined;
  const before = parseGroups(head, !isShort), after = isShort ? parseGroups(tail, true) : [];
  const missing = before && after ? 16 - before.length - after.length : -1;
  if (more.length || (isShort ? missing < 2 : missing !== 0)) return null;
  return [...before, ...Array(missing).fill(0), ...after];
}

function parseIPv4(text) {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && part < 256) ? parts.map(Number) : null;
}

/** parseGroups returns the bytes of groups of an IPv6 address. The last group may be an IPv4 address if isLast. */
function parseGroups(text, isLast) {
  if (!text) return [];
  const groups = text.split(":"), ipv4 = isLast ? parseIPv4(groups.at(-1)) : null;
  if (ipv4) groups.pop();
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return [...groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255]), ...(ipv4 || [])];
}

/** unmap returns the IPv4 address of an IPv4-mapped IPv6 address, and other addresses unchanged. */
const unmap = (bytes) => (bytes.length === 16 && bytes.slice(0, 12).join() === "0,0,0,0,0,0,0,0,0,0,255,255" ? bytes.slice(12) : bytes);

function imageMatcher(value) {
  const matches = glob(value.includes("*") ? value : shortImage(value));
  return ({ image = "" }) => [image, shortImage(image), shortImage(image).split("@")[0], repository(image)].some((text) => matches(text));
}

/** shortImage folds an image and removes the registry and path of Docker's official images. */
const shortImage = (image) => fold(image).replace(/^docker\.io\//, "").replace(/^library\//, "");

/** repository returns the short image without tag and digest. */
const repository = (image) => shortImage(image).split("@")[0].replace(/:[^/:]*$/, "");

/** monitoringImages are the ends of the repositories of images that monitor others. The server has the same list. */
const monitoringImages = `
  /prometheus /alertmanager /pushgateway /grafana /grafana-oss /grafana-enterprise /grafana/agent /alloy /loki /promtail /tempo /mimir /thanos
  -exporter _exporter /cadvisor /telegraf /netdata /victoria-metrics /vmagent /vmalert /opentelemetry-collector /opentelemetry-collector-contrib
  /otelcol /datadog/agent /datadoghq/agent /docker-dd-agent /newrelic/infrastructure /zabbix-agent /zabbix-agent2 /metricbeat /filebeat
  /uptime-kuma /gatus /beszel /beszel-agent /dozzle /glances /check-mk-raw`.trim().split(/\s+/);

const imageEndsWith = (n, end) => `/${repository(n.image || "")}`.endsWith(end);

/** properties are the values of the field "is". */
const properties = {
  monitoring: (n) => [n.project, n.service].some((text = "") => fold(text) === "monitoring") || monitoringImages.some((end) => imageEndsWith(n, end)),
  outpost: (n) => imageEndsWith(n, "/outpost"),
  stale: (n) => !!n.stale,
  incomplete: (n) => !!n.reason,
  past: (n) => !!n.past,
  published: (n) => publishedPorts(n).length > 0,
};

/** choices are the values of the fields that have a closed list of them. */
export const choices = {
  kind: ["container", "host", "external", "ambiguous", "unknown"], is: Object.keys(properties),
  protocol: ["tcp", "udp"], via: ["direct", "published", "host", "loopback", "resolver"], state: ["live", "past", "idle", "failed"], seen: ["both", "client", "server"],
};

function portMatcher(value) {
  const [from, to = from, ...more] = value.split("-");
  const isPort = (text) => /^\d{1,5}$/.test(text) && text >= 1 && text <= 65535;
  if (more.length || !isPort(from) || !isPort(to) || Number(to) < Number(from)) throw new QueryError("want a port from 1 to 65535, or a range such as 8000-8099");
  return (l) => l.port >= Number(from) && l.port <= Number(to);
}
