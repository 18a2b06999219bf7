package correlate

// pairing finds the ends that are two halves of one connection, by their tuples alone.
type pairing struct {
	ends   func(i int32) *connEnd
	index  tupleIndex
	paired []bool
}

// newPairing returns a pairing of a number of ends. About expected ends are added.
func newPairing(number, expected int, ends func(i int32) *connEnd) *pairing {
	return &pairing{ends, newTupleIndex(expected), make([]bool, number)}
}

// add makes the end with an index known.
func (p *pairing) add(i int32) {
	if end := p.ends(i); end.local.addr.IsValid() {
		p.index.add(end.tuple(), i)
	}
}

// partner returns the other half of end i, unless several ends could be it. A pair is found once.
func (p *pairing) partner(i int32, fits ...func(i, j int32) bool) (int32, bool) {
	if p.paired[i] || !p.ends(i).local.addr.IsValid() {
		return 0, false
	}
	t := p.ends(i).tuple()
	if _, ok := p.index.first[t.mirrored()]; !ok {
		return 0, false
	}
	for _, fit := range fits {
		j, ok := p.index.mirror(i, t, func(i, j int32) bool { return i != j && !p.paired[i] && !p.paired[j] && fit(i, j) })
		if ok {
			p.paired[i], p.paired[j] = true, true
			return j, true
		}
	}
	return 0, false
}
