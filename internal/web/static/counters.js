// The counters of all connections of a link, also the shortest. The server has the same in graph/counters.go.
import { formatBytes, formatCount, formatNumber } from "./format.js";

/** mergeCounters returns the counters of two links together. The median is that of the link with more opened connections. */
export function mergeCounters(a, b) {
  if (!a || !b) return a || b;
  const sum = Object.fromEntries(["opened", "failed", "refused", "bytesSent", "bytesReceived", "retransmits"].map((name) => [name, a[name] + b[name]]));
  const takesMedianOfB = !a.rttMicroseconds || (b.rttMicroseconds > 0 && b.opened > a.opened);
  return { ...sum, rttMicroseconds: (takesMedianOfB ? b : a).rttMicroseconds, minRttMicroseconds: leastMeasured(a.minRttMicroseconds, b.minRttMicroseconds) };
}

/** leastMeasured returns the lesser of two times. 0 is an unknown time. */
const leastMeasured = (a, b) => (a && b ? Math.min(a, b) : a || b);

/** areAllRefused reports whether no connection was opened, and the other side refused each failed dial. */
export const areAllRefused = ({ counters: c }) => !!c && c.opened === 0 && c.refused > 0 && c.refused === c.failed;

/** bytesOf returns the bytes of a link by the client: those counted of connections that ended, and those measured of open ones. Those of UDP are unknown. */
export function bytesOf({ protocol, counters, measured }) {
  if (protocol) return undefined;
  if (!counters || !measured) return counters || measured;
  return { bytesSent: counters.bytesSent + measured.bytesSent, bytesReceived: counters.bytesReceived + measured.bytesReceived };
}

/** roundTripOf returns the median of counted round-trip times in microseconds, or else the mean of the open connections. */
export const roundTripOf = ({ counters, measured }) => counters?.rttMicroseconds || measured?.rttMicroseconds;

/** formatRoundTrip writes microseconds as milliseconds. */
export const formatRoundTrip = (microseconds) => `${(microseconds / 1000).toFixed(2)} ms`;

/** formatFailed writes the number of failed dials, and how many of them were refused. */
export function formatFailed({ failed, refused }) {
  const unanswered = Math.max(0, failed - refused);
  const kinds = [refused && `${formatNumber(refused)} refused`, unanswered && `${formatNumber(unanswered)} without an answer`].filter(Boolean);
  return kinds.length > 1 ? `${formatNumber(failed)}: ${kinds.join(", ")}` : kinds[0] || "0";
}

/** dialFacts returns the names and texts of the dials of a link; none if they are not counted. Failed ones of UDP are unknown. */
export const dialFacts = ({ protocol, counters: c }) => (c ? [["Opened", formatCount(c.opened, "connection")], ["Failed", !protocol && formatFailed(c)]] : []);

/** trafficFacts returns the names and texts of what is counted or measured of the traffic of a link. */
export function trafficFacts(l) {
  const { counters: c, measured } = l, bytes = bytesOf(l), over = c && !measured && l.connections > 0 ? " over ended connections" : "";
  const time = c?.rttMicroseconds ? `median ${formatRoundTrip(c.rttMicroseconds)}, least ${formatRoundTrip(c.minRttMicroseconds)}` : measured && formatRoundTrip(measured.rttMicroseconds);
  return [
    ["Round trip", time], ["Sent by the client", bytes && formatBytes(bytes.bytesSent) + over], ["Received by the client", bytes && formatBytes(bytes.bytesReceived) + over],
    ["Sent again", c && !l.protocol && formatCount(c.retransmits, "segment")],
  ];
}
