package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryRatio is the part of a cgroup's memory limit for memory that the garbage collector counts. The rest is for other
	// memory, such as the binary.
	memoryRatio = 0.8
	// baseMemory is what Outpost takes without sockets, and socketMemory what each socket adds: decoded, in the snapshot,
	// remembered, in the map, and in the answers to ten clients. BENCHMARKS.md of internal/e2e has the measurement.
	baseMemory, socketMemory = 14 << 20, 1250
	// minSockets are read with any limit. maxSockets is the number from which the bounds of the sources suffice.
	minSockets, maxSockets = 1000, 1 << 20
	// A mapper decodes two large answers at once. Each takes up to four times its length.
	minBody, bodyMemory = 1 << 20, 2 * 4
)

// memory is the memory limit of the process, and what follows from it.
type memory struct {
	limit      int64 // in bytes; 0 means no limit
	maxSockets int   // that the process holds at once; 0: any number
	maxBody    int64 // of an answer that a mapper reads; 0: the mapper's own bound
}

// limitMemory makes the garbage collector respect the memory limit of the process's cgroup, or GOMEMLIMIT instead if that is set.
func limitMemory() memory {
	_, _ = memlimit.Set(memlimit.WithRatio(memoryRatio)) // an unreadable limit has no effect
	forGo := debug.SetMemoryLimit(-1)
	if forGo == math.MaxInt64 {
		return memory{}
	}
	limit := forGo
	if ofCgroup, err := memlimit.FromCgroup(); err == nil && os.Getenv("GOMEMLIMIT") == "" && ofCgroup < math.MaxInt64 {
		limit = int64(ofCgroup)
	}
	return newMemory(limit, forGo)
}

// newMemory returns what follows from a limit of the process and its part for Go, in bytes.
func newMemory(limit, forGo int64) memory {
	m := memory{limit: limit, maxBody: max(minBody, (forGo-baseMemory)/bodyMemory)}
	if sockets := max(minSockets, (forGo-baseMemory)/socketMemory); sockets <= maxSockets {
		m.maxSockets = int(sockets)
	}
	return m
}
