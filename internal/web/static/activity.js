// The activity of links: their states, and how texts and widths show their use.
import { areAllRefused } from "./counters.js";
import { formatAgo, formatCount, formatDuration, formatNumber, formatPort } from "./format.js";

const liveIntervals = 3; // as on the server

/** livePeriod returns how long a link of a graph stays live after it was last seen, in ms. */
export const livePeriod = (graph) => liveIntervals * 1000 * (graph.intervalSeconds || 0);

const minIdle = 60; // s

/** linkState returns the state of a link: active, idle, failed or past. */
export function linkState(l) {
  if (!l.live) return "past";
  if (isFailed(l)) return "failed";
  return isIdle(l) ? "idle" : "active";
}

/**
 * isFailed reports whether the client gets no connection: it dials without an answer and has none, or never had one, or all dials are
 * refused. The server decides alike.
 */
export const isFailed = (l) => l.live && (l.unanswered || (!l.connections && !l.closed && (l.attempts > 0 || areAllRefused(l))));

/** isRefused reports whether a link has failed because the server refuses all dials. */
export const isRefused = (l) => isFailed(l) && areAllRefused(l);

/** isIdle reports whether no data has passed over the connections of a link for a minute. A connection that ended since may have had data. */
const isIdle = (l) => l.connections > 0 && !l.closed && idleSeconds(l) >= minIdle;

const idleSeconds = (l) => l.measured?.idleSeconds || 0;

/** mergeIdle returns the idle time of the connections of two links in seconds; 0 if it is unknown of one of them. */
export function mergeIdle(a, b) {
  if (!a.connections || !b.connections) return idleSeconds(a.connections ? a : b);
  return Math.min(idleSeconds(a), idleSeconds(b));
}

/** lineStates returns the states of a line with links: past if all are, idle if all live ones are, and failed if one is. */
export function lineStates(links) {
  const live = new Set(links.map(linkState));
  live.delete("past");
  return [!live.size && "past", live.size === 1 && live.has("idle") && "idle", live.has("failed") && "failed"].filter(Boolean);
}

const noAnswer = "no answer", refused = "refused";

/** formatFailure writes that the server of a link refuses, or does not answer. */
const formatFailure = (l) =>
  isRefused(l) ? `${refused}, ${formatCount(l.counters.failed, "failed dial")}` : [noAnswer, l.attempts && formatCount(l.attempts, "attempt")].filter(Boolean).join(", ");

/** countUse returns the use of links that determines the width of their line: their connections, and those that ended within a minute. */
export const countUse = (links) => links.reduce((sum, l) => sum + l.connections + l.closed, 0);

/** formatRate writes the connections that ended within the last minute. */
export const formatRate = (closed) => `${formatNumber(closed)}/min`;

/**
 * formatLoad writes the use of links in the label of a line: nothing for one connection, and a rate without an open connection. The label
 * of several links says that there is no answer if all of them have failed, or that the server refused if it refused on all.
 */
export function formatLoad(links) {
  const live = links.filter((l) => l.live);
  if (live.length && live.every(isFailed)) return ` · ${live.every(isRefused) ? refused : noAnswer}`;
  const connections = links.reduce((sum, l) => sum + l.connections, 0), closed = links.reduce((sum, l) => sum + l.closed, 0);
  if (connections > 1) return ` ×${formatNumber(connections)}`;
  return !connections && closed ? ` · ${formatRate(closed)}` : "";
}

/** formatUse writes the connections of a link, or how often it is used if it has none; empty if its counts are unknown. */
export function formatUse(l) {
  if (l.countsUnknown) return "";
  if (linkState(l) === "failed") return formatFailure(l);
  return !l.connections && l.closed ? `active, ${formatRate(l.closed)}` : formatNumber(l.connections);
}

/** formatIdle writes how long a link has been idle; empty if it is not. */
export const formatIdle = (l) => (linkState(l) === "idle" ? `no data for ${formatDuration(idleSeconds(l))}` : "");

/** describeLink writes a link without its ends. */
export function describeLink(l, now) {
  const seen = `last seen ${formatAgo(l.lastSeen, now)}`;
  const open = [formatCount(l.connections, "connection"), formatIdle(l)].filter(Boolean).join(", ");
  const use = linkState(l) === "failed" ? formatFailure(l) : l.countsUnknown ? "live then" : l.connections ? open : l.closed ? formatUse(l) : `live, ${seen}`;
  return `port ${formatPort(l)}, ${l.via}, ${l.live ? use : `past, ${seen}`}`;
}
