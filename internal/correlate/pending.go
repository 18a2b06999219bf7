package correlate

import (
	"github.com/PabloL007/outpost/internal/socket"
)

// connKey is what both ends of a connection agree on.
type connKey struct {
	source     endpointKey // the client's; without an address after masquerading, which usually keeps the port
	serverPort socket.Port // behind a published port it is not the dialled one
	scope
}

// scope is where the endpoints of a connKey mean something. A key's fields differ by table, so no table mixes two kinds.
type scope struct {
	client int32 // network namespace, host or network of the client; anywhere if the source address identifies it
	server netnsRef
}

const anywhere int32 = -1

// endpointKey is an endpoint in a form that maps hash fast.
type endpointKey struct {
	addr [16]byte
	port socket.Port
}

func toEndpointKey(at endpoint) endpointKey { return endpointKey{at.addr.As16(), at.port} }

// pending holds outbound ends, by their indexes in the matcher, until their inbound ends come.
type pending struct {
	first map[connKey]int32
	more  map[connKey][]int32 // in the order in which they were added; nil if a key has one end only
}

// newPending returns a table for keys with one end each, filled by set.
func newPending() pending { return pending{first: make(map[connKey]int32)} }

// newPendingQueues returns a table for keys with many ends, filled by add. size is the number of ends.
func newPendingQueues(size int) pending {
	return pending{first: make(map[connKey]int32, size), more: make(map[connKey][]int32)}
}

// set makes i the only end under key.
func (p pending) set(key connKey, i int32) { p.first[key] = i }

// add adds i to the ends under key.
func (p pending) add(key connKey, i int32) {
	if _, taken := p.first[key]; taken {
		p.more[key] = append(p.more[key], i)
		return
	}
	p.first[key] = i
}

// takeOpen is take for keys that do not identify a connection: an open client does not belong to a closed server.
func (p pending) takeOpen(key connKey, outbound []outboundEnd, in *connEnd) (i int32, ok bool) {
	i, ok = p.take(key, outbound)
	return i, ok && (outbound[i].closed || !in.closed)
}

// take returns the first end under key that is not matched yet. It forgets the matched ends before it, so that many equal
// ends take linear time.
func (p pending) take(key connKey, outbound []outboundEnd) (i int32, ok bool) {
	i, ok = p.first[key]
	for ok && outbound[i].matched {
		more := p.more[key]
		if len(more) == 0 {
			return 0, false
		}
		i = more[0]
		p.first[key], p.more[key] = i, more[1:]
	}
	return i, ok
}
