// What the overview says about a map: who calls the stores, what is exposed, what changed, and what is not readable.
import { isFailed, isRefused } from "./activity.js";
import { isReplaced, markChanges } from "./changes.js";
import { compareNatural, comparePorts, formatPort, isLoopback, isUnnamedExternal, splitImage } from "./format.js";

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

const productOf = ({ image }) => image && products.find((p) => p.image.test(splitImage(image).path.split("/").at(-1)));

/** useOf returns how a link uses its server: "live", "past", or why its client has no connection: "unanswered" or "refused". */
const useOf = (link) => (isRefused(link) ? "refused" : isFailed(link) ? "unanswered" : link.live ? "live" : "past");

/**
 * findStores returns the databases, caches and queues of a map, with the ports at which they are called, and their callers by use. A
 * container that is known by its image needs no caller. An unanswered or refused dial makes no store.
 */
export function findStores({ nodes, links }) {
  const byID = new Map(nodes.map((n) => [n.id, n])), stores = new Map();
  const storeOf = (id, product) => {
    if (!stores.has(id)) stores.set(id, { node: byID.get(id), product, ports: new Set(), uses: new Map() });
    return stores.get(id);
  };
  const known = new Map(nodes.filter((n) => n.kind === "container").map((n) => [n.id, productOf(n)]));
  for (const n of nodes) if (known.get(n.id) && !n.past) storeOf(n.id, known.get(n.id));
  for (const use of ["live", "past", "unanswered", "refused"]) {
    for (const { client, server, port } of links.filter((l) => l.client !== l.server && !l.protocol && useOf(l) === use)) {
      const product = known.get(server) || byPort.get(port), store = stores.get(server) || (product && (use === "live" || use === "past") && storeOf(server, product));
      if (!store || !product) continue;
      store.ports.add(port);
      if (!store.uses.has(client)) store.uses.set(client, use);
    }
  }
  const order = (a, b) => a.product.rank - b.product.rank || b.uses.size - a.uses.size || compareNatural(a.node.name, b.node.name);
  return [...stores.values()].sort(order).map(({ node, product, ports, uses }) => {
    const callers = (use) => [...uses].filter(([, of]) => of === use).map(([id]) => byID.get(id));
    return { node, product, ports: [...ports].sort((a, b) => a - b), live: callers("live"), past: callers("past"), unanswered: callers("unanswered"), refused: callers("refused") };
  });
}

const isOnLAN = ({ driver }) => driver === "macvlan" || driver === "ipvlan";

/**
 * endpointsOf returns how a container is reached from outside, as {address, port, inside, isOwn}: at an endpoint of its host that leads to a
 * port inside, or at its own address on the network of its host. Ports are texts of formatPort.
 */
function endpointsOf({ details }) {
  if (!details) return [];
  const own = details.networks.filter(isOnLAN).flatMap((n) => n.addresses);
  return details.listening.flatMap((l) => {
    const inside = formatPort(l), { protocol } = l;
    return [
      ...[...l.published, ...(details.hostNetwork ? [l] : [])].map(({ address, port }) => ({ address, port: formatPort({ port, protocol }), inside, isOwn: false })),
      ...(isLoopback(l) ? [] : own.map((address) => ({ address, port: inside, inside, isOwn: true }))),
    ];
  });
}

const keyOf = (...parts) => JSON.stringify(parts);

const isUnspecified = (address) => address === "0.0.0.0" || address === "::";

/** accessOf returns how one port leads inside, at all addresses of its endpoints. Ports on loopback alone are local. Without addresses it is reached at all of its host. */
function accessOf(endpoints) {
  const isLocal = endpoints.every(isLoopback), isEverywhere = endpoints.some((e) => isUnspecified(e.address));
  return { ...endpoints[0], isLocal, addresses: isEverywhere || isLocal ? [] : [...new Set(endpoints.filter((e) => !isLoopback(e)).map((e) => e.address))] };
}

/** accessesOf returns the ports by which each port of a container is reached from outside. */
function accessesOf(node) {
  const ports = [...Map.groupBy(endpointsOf(node), (e) => keyOf(e.port, e.inside, e.isOwn)).values()].map(accessOf);
  return [...Map.groupBy(ports, (e) => keyOf(e.inside, e.addresses, e.isOwn, e.isLocal)).values()].map((of) => ({ ...of[0], ports: of.map((e) => e.port).sort(comparePorts) }));
}

/** fromOutside are the ways by which clients reach the ports of accessesOf, by whether these are at an address of the container's own. */
const fromOutside = { false: ["published", "host"], true: ["direct"] };

/**
 * findExposed returns the ports at which containers are reached from outside, with the clients that were seen there and are no containers. Ports that
 * lead to one port inside are together: its clients show only that. Equal ports of one service are one, and it has the number of their
 * hosts.
 */
export function findExposed({ nodes, links }) {
  const byID = new Map(nodes.map((n) => [n.id, n])), exposed = new Map();
  const visits = Map.groupBy(links.filter((l) => byID.get(l.client).kind !== "container" && !isFailed(l)), (l) => keyOf(l.server, formatPort(l)));
  for (const node of nodes.filter((n) => n.kind === "container" && !n.past)) {
    for (const { ports, inside, isLocal, isOwn, addresses } of accessesOf(node)) {
      const id = keyOf(ports, inside, isLocal, isOwn, addresses, node.project, node.service || node.name);
      if (!exposed.has(id)) exposed.set(id, { id, ports, inside, isLocal, isOwn, addresses, nodes: [], clients: new Set() });
      exposed.get(id).nodes.push(node);
      if (isLocal) continue;
      for (const { client, via } of visits.get(keyOf(node.id, inside)) || []) if (fromOutside[isOwn].includes(via)) exposed.get(id).clients.add(byID.get(client));
    }
  }
  const order = (a, b) => b.clients.length - a.clients.length || comparePorts(a.ports[0], b.ports[0]) || compareNatural(a.nodes[0].name, b.nodes[0].name);
  return [...exposed.values()].map((e) => ({ ...e, hosts: new Set(e.nodes.map((n) => n.host)).size, clients: [...e.clients] })).sort(order);
}

/** hasUnknownPorts reports whether nothing is known about the ports of a container. */
export const hasUnknownPorts = (n) => n.kind === "container" && !n.past && (!n.details || n.details.status === "failed");

/**
 * findChanges returns the changes of a map from since to until, both in ms, the latest first, as {id, what, time, ...}. A change of a container has its
 * node, and the number of its links that changed with it. The other links that changed are one change for each client, which has the
 * servers, or one for the external clients of each server.
 */
export function findChanges(graph, { since, until, dataSince }) {
  const { nodes, links } = markChanges(graph, since, dataSince), byID = new Map(nodes.map((n) => [n.id, n]));
  const ofNodes = new Map();
  for (const node of nodes) {
    const change = changeOf(node, since);
    if (change && change.time <= until) ofNodes.set(node.id, { ...change, id: node.id, node, links: 0 });
  }
  const ofLinks = new Map();
  for (const l of links) {
    if (!l.newLinks && !l.goneLinks) continue;
    const causes = [l.client, l.server].map((id) => ofNodes.get(id)).filter(Boolean);
    causes.forEach((c) => c.links++);
    if (!causes.length) addLinkChange(ofLinks, l, byID);
  }
  return [...ofNodes.values(), ...[...ofLinks.values()].map((c) => ({ ...c, servers: [...c.servers.values()] }))].sort((a, b) => b.time - a.time);
}

/** changeOf returns how a container changed since a time in ms, and when; null if it did not. */
function changeOf(node, since) {
  if (isReplaced(node, since)) return { what: "replaced", time: Date.parse(node.predecessors[0].lastSeen) };
  if (node.gone) return { what: "gone", time: Date.parse(node.lastSeen) };
  return node.new ? { what: "new", time: Date.parse(node.firstSeen) } : null;
}

function addLinkChange(all, link, byID) {
  const client = byID.get(link.client), isExternal = isUnnamedExternal(client);
  const what = link.goneLinks ? "gone" : "new", time = Date.parse(link.goneLinks ? link.lastSeen : link.firstSeen);
  const id = isExternal ? keyOf(what, link.server, formatPort(link)) : keyOf(what, client.id);
  const change = all.get(id) || { id, what, time: 0, client: isExternal ? null : client, clients: new Set(), servers: new Map() };
  change.time = Math.max(change.time, time);
  change.clients.add(client);
  change.servers.set(keyOf(link.server, formatPort(link)), { node: byID.get(link.server), port: formatPort(link) });
  all.set(id, change);
}

/** findUnreadable returns the reasons for which containers are not or only partly readable, each with its containers; most containers first. */
export function findUnreadable(nodes) {
  const byReason = Map.groupBy(nodes.filter((n) => n.reason && !n.past), (n) => n.reason);
  return [...byReason].map(([reason, of]) => ({ reason, nodes: of })).sort((a, b) => b.nodes.length - a.nodes.length);
}

/** findReadByCommands returns the containers that only commands read. */
export const findReadByCommands = (nodes) => nodes.filter((n) => n.details?.method === "exec" && !n.past);

/** findWithoutData returns the targets without current data. */
export const findWithoutData = (targets) => targets.filter((t) => t.state === "stale" || t.state === "failed");
