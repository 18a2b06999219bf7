// The activity of links: whether they are live, and how texts and widths show their use.
import { formatAgo, formatCount, formatNumber } from "./format.js";

const liveIntervals = 3; // as on the server

/** livePeriod returns how long a link of a graph stays live after it was last seen, in ms. */
export const livePeriod = (graph) => liveIntervals * 1000 * (graph.intervalSeconds || 0);

/** countUse returns the use of links that determines the width of their line: their connections, and those that ended within a minute. */
export const countUse = (links) => links.reduce((sum, l) => sum + l.connections + l.closed, 0);

/** formatRate writes the connections that ended within the last minute. */
const formatRate = (closed) => `${formatNumber(closed)}/min`;

/** formatLoad writes the use of links in the label of a line: nothing for one connection, and a rate without an open connection. */
export function formatLoad(links) {
  const connections = links.reduce((sum, l) => sum + l.connections, 0), closed = links.reduce((sum, l) => sum + l.closed, 0);
  if (connections > 1) return ` ×${formatNumber(connections)}`;
  return !connections && closed ? ` · ${formatRate(closed)}` : "";
}

/** formatUse writes the connections of a link, or how often it is used if it has none; empty if its counts are unknown. */
export function formatUse(l) {
  if (l.countsUnknown) return "";
  return !l.connections && l.closed ? `active, ${formatRate(l.closed)}` : formatNumber(l.connections);
}

/** describeLink writes a link without its ends. */
export function describeLink(l, now) {
  const seen = `last seen ${formatAgo(l.lastSeen, now)}`;
  const use = l.countsUnknown ? "live then" : l.connections ? formatCount(l.connections, "connection") : l.closed ? formatUse(l) : `live, ${seen}`;
  return `port ${l.port}, ${l.via}, ${l.live ? use : `past, ${seen}`}`;
}
