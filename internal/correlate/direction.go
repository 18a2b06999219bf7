package correlate

import (
	"cmp"
)

// isServicePort reports whether clients are known to dial the local port of an end: it is published or exposed.
func (h *Host) isServicePort(end *connEnd) bool {
	at := end.netnsPort()
	return end.isForwarded() || h.hasPublished[at] || h.exposed[at]
}

// direct orders the two ends of a connection, the client first, and reports whether that is known. serviceA and serviceB report
// whether clients are known to dial the local port of a and b. That is no proof if both ends listen: each may dial from its own
// port. Without any sign the end with the lower port is the server, of equal ones that with the lower address.
func direct(a, b *connEnd, serviceA, serviceB bool) (client, server *connEnd, known bool) {
	switch dialled, certain := whoDialled(a, b); {
	case certain:
		return order(a, b, dialled)
	case a.inbound != b.inbound:
		return order(a, b, b.inbound)
	case a.directionUnknown != b.directionUnknown: // the other one is no listener's
		return order(a, b, b.directionUnknown)
	case serviceA != serviceB:
		client, server, _ = order(a, b, serviceB)
		return client, server, !a.inbound
	}
	client, server, _ = order(a, b, isAfter(a.local, b.local))
	return client, server, false
}

// mayHaveAccepted reports whether the other half of an inbound end was accepted in a network namespace, as far as the end shows.
func (h *Host) mayHaveAccepted(netns int32, end *connEnd) bool {
	_, listens := h.listenerAt(netns, end.remote)
	return listens && end.role == roleUnknown
}

// isAfter orders endpoints by port, then by address.
func isAfter(a, b endpoint) bool {
	return cmp.Or(a.port.Compare(b.port), a.addr.Compare(b.addr)) > 0
}

// whoDialled reports whether a dialled, by what the kernel measured of either end.
func whoDialled(a, b *connEnd) (dialled, certain bool) {
	client := a.role == roleClient || b.role == roleServer
	server := a.role == roleServer || b.role == roleClient
	return client, client != server
}

func order(a, b *connEnd, dialled bool) (client, server *connEnd, known bool) {
	if dialled {
		return a, b, true
	}
	return b, a, true
}
