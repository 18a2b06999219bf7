package correlate

import "github.com/PabloL007/outpost/internal/socket"

// tuple is the two endpoints of a connection as one end sees them. The other end sees them mirrored, unless something on the
// way translates addresses. A loopback tuple means something in one network namespace only.
type tuple struct {
	local, remote endpointKey
	netns         int32 // of a loopback tuple; anywhere for others
}

// tuple returns the endpoints of an end. The client of docker-proxy, and one with a translated
// connection, knows the endpoint of the host.
func (e *connEnd) tuple() tuple {
	local := e.local
	switch at := e.dialledAt(); {
	case at.isValid():
		local = at
	case e.proxied != 0:
		local.port = socket.NewPort(e.proxied, local.port.Protocol())
	}
	t := tuple{toEndpointKey(local), toEndpointKey(e.remote), anywhere}
	if e.isLoopback() {
		t.netns = e.netns
		if e.isForwarded() {
			t.netns = hostNetns
		}
	}
	return t
}

func (t tuple) mirrored() tuple { return tuple{t.remote, t.local, t.netns} }

// tupleIndex finds ends by their tuples. Ends with equal tuples are rare: they need equal addresses in separate networks.
type tupleIndex struct {
	first map[tuple]int32
	more  map[tuple][]int32
}

func newTupleIndex(size int) tupleIndex {
	return tupleIndex{make(map[tuple]int32, size), make(map[tuple][]int32)}
}

// add adds the end with an index. Of more than maxCandidates equal tuples the first ones stand for all.
func (x tupleIndex) add(t tuple, i int32) {
	if _, taken := x.first[t]; !taken {
		x.first[t] = i
		return
	}
	if len(x.more[t]) < maxCandidates {
		x.more[t] = append(x.more[t], i)
	}
}

// isUnique reports whether at most one end has a tuple.
func (x tupleIndex) isUnique(t tuple) bool { return len(x.more) == 0 || len(x.more[t]) == 0 }

// only returns the single end with a tuple that fits; ok is false if none or several fit.
func (x tupleIndex) only(t tuple, fits func(i int32) bool) (found int32, ok bool) {
	first, ok := x.first[t]
	if !ok {
		return 0, false
	}
	matches := 0
	for _, i := range append([]int32{first}, x.more[t]...) {
		if fits(i) {
			found = i
			matches++
		}
	}
	return found, matches == 1
}

// mirror returns the end that is the other half of end i with tuple t: both fit each other, and nothing else fits either of
// them.
func (x tupleIndex) mirror(i int32, t tuple, fits func(i, j int32) bool) (int32, bool) {
	if x.isUnique(t) && x.isUnique(t.mirrored()) {
		j, ok := x.first[t.mirrored()]
		return j, ok && fits(i, j)
	}
	j, ok := x.only(t.mirrored(), func(j int32) bool { return fits(i, j) })
	if !ok {
		return 0, false
	}
	back, ok := x.only(t, func(k int32) bool { return fits(k, j) })
	return j, ok && back == i
}
