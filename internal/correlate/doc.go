// Package correlate matches the sockets in the snapshots of many hosts and builds a graph of nodes and links from them.
//
// It works in two phases. Both use the same matcher:
//
//  1. The local phase (NewHost) matches the connection ends within one snapshot. It resolves loopback, addresses of
//     containers on a common network, and the host's own addresses and published ports. Its result is a Host. A Host
//     never changes, so callers keep it for as long as the host's snapshot stays the same.
//  2. The cross-host phase (Build) matches the remaining ends among all hosts. It resolves overlay networks, other hosts'
//     addresses and published ports, and routable container addresses.
//
// In each phase outbound ends come first. The phase resolves each outbound end's remote address to a server and stores
// the end as pending. Then each inbound end takes the pending end that describes the same connection. A pair makes a link
// with the evidence "both". An end without a partner makes a link with the evidence "client" or "server".
//
// An address means something in its scope only. Loopback is valid in one network namespace. A bridge network's address is
// valid on one host. An overlay network's address is valid on all hosts of that network. If several hosts have an address
// and no second end identifies the host, the node is ambiguous.
//
// The package uses neither the engine nor HTTP. Equal input gives equal output, in the same order.
package correlate
