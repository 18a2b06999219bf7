// Links from a container to other programs, from the templates of the server (OUTPOST_LINKS). The values in a link are foreign text.

/** containerLinks returns the links of a node, with label and href. A link with a placeholder without a value is left out. */
export function containerLinks(node, graph, now) {
  if (node.kind !== "container") return [];
  const values = new Map(Object.entries({
    id: node.container, shortID: node.container?.slice(0, 12), name: node.name, host: node.host, project: node.project, service: node.service, image: node.image,
    from: String(now - graph.windowSeconds * 1000),
  }));
  return (graph.containerLinks || []).map(({ label, url }) => ({ label, href: fillTemplate(url, values) })).filter((link) => link.href);
}

/** escapeValue makes a value one part of a path, or one value of a query. */
const escapeValue = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

/** fillTemplate returns the URL of a template, or "" if a value is missing or the URL is unsafe. */
export function fillTemplate(template, values) {
  const names = [...template.matchAll(/\{(\w*)\}/g)].map((match) => match[1]);
  if (!names.every((name) => values.get(name))) return "";
  const url = template.replace(/\{(\w*)\}/g, (_, name) => escapeValue(values.get(name)));
  return isSafe(url) ? url : "";
}

/** isSafe reports whether a URL leads to the web, or to a path of this server. Browsers resolve "." and ".." in a path, escaped or not. */
function isSafe(url) {
  const isPath = /^\/(?![/\\])/.test(url);
  if (!isPath && !/^https?:\/\//i.test(url)) return false;
  const path = url.split(/[?#]/, 1)[0].replace(/%2e/gi, ".");
  if (/[/\\]\.\.?([/\\]|$)/.test(path) || !URL.canParse(url, location.origin)) return false;
  return !isPath || new URL(url, location.origin).origin === location.origin;
}
