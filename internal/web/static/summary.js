// What the overview says about a map: who calls the stores, what is exposed, what changed, and what is not readable.
import { isReplaced, markChanges } from "./changes.js";
import { compareNatural, isLoopback, isUnnamedExternal } from "./format.js";

/** products are the stores that are known by their usual port, or by the name of their image. Databases come first. */
const products = [
  ["PostgreSQL", [5432], "postgres|postgresql|postgis|timescaledb|pgvector|spilo"], ["MySQL", [3306], "mysql|percona"], ["MariaDB", [], "mariadb"],
  ["SQL Server", [1433], "azure-sql-edge"], ["Oracle", [1521], "oracle|oracle-free|oracle-xe"], ["MongoDB", [27017], "mongo|mongodb|mongodb-community"],
  ["CockroachDB", [26257], "cockroach|cockroachdb"], ["Cassandra", [9042], "cassandra|scylla"], ["ClickHouse", [], "clickhouse"], ["Elasticsearch", [9200], "elasticsearch"],
  ["OpenSearch", [], "opensearch"], ["InfluxDB", [8086], "influxdb|influxdb3"], ["Neo4j", [7687], "neo4j"], ["CouchDB", [5984], "couchdb"], ["MinIO", [], "minio"],
  ["Redis", [6379], "redis|keydb|dragonfly"], ["Valkey", [], "valkey"], ["Memcached", [11211], "memcached"], ["RabbitMQ", [5671, 5672], "rabbitmq"],
  ["Kafka", [9092], "kafka|cp-kafka|redpanda"], ["NATS", [4222], "nats"], ["etcd", [2379], "etcd"], ["ZooKeeper", [2181], "zookeeper|cp-zookeeper"],
].map(([name, ports, images], rank) => ({ name, ports, rank, image: new RegExp(`^(${images})([-_](server|ha|cluster|galera|repmgr|replicaset|sharded|stack|oss|\\d[\\w.]*))*$`) }));

const byPort = new Map(products.flatMap((p) => p.ports.map((port) => [port, p])));

/** imageName returns the last part of the name of an image, without registry and version. */
const imageName = (image = "") => image.replace(/@.*/, "").replace(/:[^/]*$/, "").split("/").at(-1);

const productOf = (node) => (node.image ? products.find((p) => p.image.test(imageName(node.image))) : undefined);

/**
 * findStores returns the databases, caches and queues of a map, with the ports at which they are called, and their callers: first those
 * of live links. A container that is known by its image needs no caller.
 */
export function findStores({ nodes, links }) {
  const byID = new Map(nodes.map((n) => [n.id, n])), stores = new Map();
  const storeOf = (node, product) => {
    if (!stores.has(node.id)) stores.set(node.id, { node, product, ports: new Set(), callers: new Map() });
    return stores.get(node.id);
  };
  const known = new Map(nodes.filter((n) => n.kind === "container").map((n) => [n.id, productOf(n)]));
  for (const n of nodes) if (known.get(n.id) && !n.past) storeOf(n, known.get(n.id));
  for (const { client, server, port, live } of links) {
    const product = known.get(server) || byPort.get(port);
    if (!product || client === server) continue;
    const store = storeOf(byID.get(server), product);
    store.ports.add(port);
    store.callers.set(client, live || store.callers.get(client) || false);
  }
  const order = (a, b) => a.product.rank - b.product.rank || b.callers.length - a.callers.length || compareNatural(a.node.name, b.node.name);
  return [...stores.values()].map((s) => ({
    node: s.node, product: s.product, ports: [...s.ports].sort((a, b) => a - b),
    callers: [...s.callers].sort(([, a], [, b]) => b - a).map(([id, isLive]) => ({ node: byID.get(id), isLive })),
  })).sort(order);
}

/** endpointsOf returns the host ports at which a container is reached, and the port inside that each leads to. */
function endpointsOf({ details }) {
  return (details?.listening || []).flatMap((l) => [
    ...l.published.map((p) => ({ port: p.port, inside: l.port, isLocal: isLoopback(p) })),
    ...(details.hostNetwork ? [{ port: l.port, inside: l.port, isLocal: isLoopback(l) }] : []),
  ]);
}

/**
 * findExposed returns the ports of hosts at which containers are reached from outside, with the external clients that were seen. Equal ports of one
 * service are one, and it has the number of their hosts. Ports on loopback alone are local.
 */
export function findExposed({ nodes, links }) {
  const byID = new Map(nodes.map((n) => [n.id, n])), exposed = new Map();
  const visitors = Map.groupBy(links.filter((l) => byID.get(l.client).kind === "external"), (l) => `${l.server} ${l.port}`);
  for (const node of nodes.filter((n) => n.kind === "container" && !n.past)) {
    for (const { port, inside, isLocal } of endpointsOf(node)) {
      const key = [port, inside, isLocal, node.project, node.service || node.name].join(" ");
      if (!exposed.has(key)) exposed.set(key, { port, inside, isLocal, nodes: new Set(), clients: new Set() });
      exposed.get(key).nodes.add(node);
      for (const { client } of visitors.get(`${node.id} ${inside}`) || []) exposed.get(key).clients.add(byID.get(client));
    }
  }
  const order = (a, b) => a.isLocal - b.isLocal || b.clients.length - a.clients.length || a.port - b.port || compareNatural(a.nodes[0].name, b.nodes[0].name);
  return [...exposed.values()].map((e) => ({ ...e, nodes: [...e.nodes], hosts: new Set([...e.nodes].map((n) => n.host)).size, clients: [...e.clients] })).sort(order);
}

/**
 * findChanges returns the changes of a map from since to until, both in ms, the latest first, as {what, time, ...}. A change of a container has its
 * node, and the number of its links that changed with it. The other links that changed are one change for each client, which has the
 * servers, or one for the external clients of each server.
 */
export function findChanges(graph, { since, until, dataSince }) {
  const { nodes, links } = markChanges(graph, since, dataSince), byID = new Map(nodes.map((n) => [n.id, n]));
  const ofNodes = new Map();
  for (const node of nodes) {
    const change = changeOf(node, since);
    if (change) ofNodes.set(node.id, { ...change, node, links: 0 });
  }
  const ofLinks = new Map();
  for (const l of links) {
    if (!l.newLinks && !l.goneLinks) continue;
    const causes = [l.client, l.server].map((id) => ofNodes.get(id)).filter(Boolean);
    causes.forEach((c) => c.links++);
    if (!causes.length) addLinkChange(ofLinks, l, byID);
  }
  return [...ofNodes.values(), ...ofLinks.values()].filter((c) => c.time <= until).sort((a, b) => b.time - a.time);
}

/** changeOf returns how a container changed since a time in ms, and when; null if it did not. */
function changeOf(node, since) {
  if (isReplaced(node, since)) return { what: "replaced", time: Date.parse(node.predecessors[0].lastSeen) };
  if (node.gone) return { what: "gone", time: Date.parse(node.lastSeen) };
  return node.new ? { what: "new", time: Date.parse(node.firstSeen) } : null;
}

function addLinkChange(all, link, byID) {
  const client = byID.get(link.client), server = { node: byID.get(link.server), port: link.port };
  const what = link.goneLinks ? "gone" : "new", time = Date.parse(link.goneLinks ? link.lastSeen : link.firstSeen), isExternal = isUnnamedExternal(client);
  const key = isExternal ? `${what} ${link.server} ${link.port}` : `${what} ${client.id}`;
  const change = all.get(key) || { what, time: 0, client: isExternal ? null : client, clients: new Set(), servers: [] };
  change.time = Math.max(change.time, time);
  change.clients.add(client);
  if (!change.servers.some((s) => s.node === server.node && s.port === server.port)) change.servers.push(server);
  all.set(key, change);
}

/** findUnreadable returns the reasons for which containers are not or only partly readable, each with its containers; most containers first. */
export function findUnreadable(nodes) {
  const byReason = Map.groupBy(nodes.filter((n) => n.reason && !n.past), (n) => n.reason);
  return [...byReason].map(([reason, of]) => ({ reason, nodes: of })).sort((a, b) => b.nodes.length - a.nodes.length);
}
