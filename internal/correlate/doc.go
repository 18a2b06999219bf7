// Package correlate matches the sockets in the snapshots of many hosts and builds a graph of nodes and links from them.
//
// It works in two phases:
//
//  1. The local phase (NewHost) matches the connection ends within one snapshot. Its result is a Host. A Host
//     never changes, so callers keep it for as long as the host's snapshot stays the same.
//  2. The cross-host phase (Tracker.Build) matches the remaining ends among all hosts.
//
// Each phase first pairs the ends that show each other's endpoints, and decides which of the two dialled. Then it resolves the
// remote addresses of the outbound ends to servers, and pairs inbound ends by translated addresses. A pair makes a link
// with the evidence "both". At last an end without a partner makes a link with the evidence "client" or "server".
//
// If a host reports its translations, the ends of its containers get their true partners first: a server's end names the client instead
// of the masquerading host, and a client's end names the source that the server sees. A host translates its own addresses only. A link
// says what shows both sides: the kernel's table ("conntrack"), docker-proxy's accepted socket ("proxy"), or endpoints that fit
// ("inferred").
//
// An address means something in its scope only. Loopback is valid in one network namespace. A bridge network's address is
// valid on one host. An overlay network's address is valid on all hosts of that network. If several hosts have an address
// and no second end identifies the host, the node is ambiguous.
//
// The package uses neither the engine nor HTTP. Equal input gives equal output, in the same order.
package correlate
