package correlate

import (
	"fmt"
	"slices"
)

// ownerID identifies the owner of a socket on one host: a container by its index, or hostProcesses. Higher IDs identify
// sets of containers that may be the owner.
type ownerID int32

// hostProcesses is the owner of sockets that no container holds.
const hostProcesses ownerID = -1

// unknownOwner is the owner of sockets behind the host that nothing identifies.
const unknownOwner ownerID = -2

// maxCandidates bounds how many containers one socket may belong to, and how many places one address. The first ones stand
// for the rest, so that work per connection stays bounded.
const maxCandidates = 16

// mergeOwners returns the owner that may be any container of a or b.
func (h *Host) mergeOwners(a, b ownerID) ownerID {
	if a == b {
		return a
	}
	candidates := append(slices.Clone(h.candidates(a)), h.candidates(b)...)
	slices.Sort(candidates)
	return h.internOwners(slices.Compact(candidates))
}

// internOwners returns the owner that may be any of candidates, which are containers in ascending order.
func (h *Host) internOwners(candidates []ownerID) ownerID {
	if len(candidates) == 1 {
		return candidates[0]
	}
	candidates = candidates[:min(len(candidates), maxCandidates)]
	key := fmt.Sprint(candidates)
	set, ok := h.setIndex[key]
	if !ok {
		set = ownerID(toIndex(len(h.containers) + len(h.candidateSets)))
		h.setIndex[key] = set
		h.candidateSets = append(h.candidateSets, candidates)
	}
	return set
}

// candidates returns the containers that an owner may be.
func (h *Host) candidates(owner ownerID) []ownerID {
	if int(owner) < len(h.containers) {
		return []ownerID{owner}
	}
	return h.candidateSets[int(owner)-len(h.containers)]
}

// clientIn returns the owner of a connection that was dialled from a network namespace: any container in it.
func (h *Host) clientIn(netns int32) ownerID { return h.internOwners(h.namespaces[netns].members) }
