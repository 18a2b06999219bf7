package main

import "testing"

// The README of package correlate has these figures.
func TestSocketsThatFitIntoAMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for limit, want := range map[int64]memory{
		8 * mib:    {limit: 8 * mib, maxSockets: 1000, maxBody: 1 << 20},
		64 * mib:   {limit: 64 * mib, maxSockets: 31_205, maxBody: 4_875_878},
		128 * mib:  {limit: 128 * mib, maxSockets: 74_155, maxBody: 11_586_764},
		2048 * mib: {limit: 2048 * mib, maxSockets: 0, maxBody: 212_913_356},
	} {
		forGo := int64(float64(limit) * memoryRatio)
		if got := newMemory(limit, forGo); got != want {
			t.Errorf("%d MiB: %+v, want %+v", limit/mib, got, want)
		}
	}
}
