package procnet

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"net/netip"

	"github.com/PabloL007/outpost/internal/socket"
)

// rowIndex finds duplicate rows. It is a hash table of positions in the decoder's slice, because a map keyed by rows
// would store each row a second time. The hash is seeded: a remote peer chooses addresses and ports, and must not
// be able to choose collisions.
type rowIndex struct {
	// slots hold a row's position in the slice + 1 in the lower half and its hash in the upper half. Comparing hashes
	// avoids most look-ups of rows. 0 marks a free slot. The length is a power of two.
	slots []uint64
	seed  uint64
	used  int
}

const lowerHalf = 1<<32 - 1

// add records that row is about to be appended to list. It returns false if list already contains row.
func (x *rowIndex) add(list []socket.Socket, row socket.Socket) bool {
	if 2*(x.used+1) > len(x.slots) {
		x.grow()
	}
	hash := x.hash(row)
	mask := uint64(len(x.slots)) - 1
	for at := hash >> 32 & mask; ; at = (at + 1) & mask {
		slot := x.slots[at]
		if slot == 0 {
			x.slots[at] = hash&^lowerHalf | uint64(len(list)+1)
			x.used++
			return true
		}
		if slot>>32 == hash>>32 && isSameSocket(list[slot&lowerHalf-1], row) {
			return false
		}
	}
}

func (x *rowIndex) grow() {
	const minSlots = 64
	if x.seed == 0 {
		x.seed = rand.Uint64() | 1 //nolint:gosec // it seeds a hash table and guards no secret
	}
	old := x.slots
	x.slots = make([]uint64, max(minSlots, 2*len(old)))
	mask := uint64(len(x.slots)) - 1
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := slot >> 32 & mask
		for x.slots[at] != 0 {
			at = (at + 1) & mask
		}
		x.slots[at] = slot
	}
}

func (x *rowIndex) reset() {
	clear(x.slots)
	x.used = 0
}

// isSameSocket ignores the state: a socket that changes its state during the walk is still the same socket.
func isSameSocket(a, b socket.Socket) bool {
	return a.Inode == b.Inode && a.Local == b.Local && a.Remote == b.Remote && a.Protocol == b.Protocol
}

func (x *rowIndex) hash(row socket.Socket) uint64 {
	ports := uint64(row.Local.Port())<<16 | uint64(row.Remote.Port())
	h := mix(row.Inode^x.seed, ports)
	return x.mixAddr(x.mixAddr(h, row.Remote.Addr()), row.Local.Addr())
}

func (x *rowIndex) mixAddr(h uint64, addr netip.Addr) uint64 {
	bytes := addr.As16()
	return mix(h^binary.LittleEndian.Uint64(bytes[:8]), binary.LittleEndian.Uint64(bytes[8:])^x.seed)
}

// multiplier is 2^64 divided by the golden ratio: odd, with well-spread bits.
const multiplier = 0x9E3779B97F4A7C15

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b^multiplier)
	return high ^ low
}
