package procnet

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

const benchRows = 50_000

func established(rows int) []byte {
	var text strings.Builder
	text.WriteString(header4)
	for i := range rows {
		text.WriteString(row4("020011AC:1F90", fmt.Sprintf("%08X:%04X", i, 1024+i%60_000), "01", i+1))
	}
	return []byte(text.String())
}

func BenchmarkDecoder(b *testing.B) {
	table := established(benchRows)
	b.SetBytes(int64(len(table)))
	b.ReportAllocs()
	d := NewDecoder(binary.LittleEndian)
	for b.Loop() {
		d.Reset()
		const chunk = 32 << 10 // the size of the engine's chunks
		for rest := table; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
			_, _ = d.Write(rest[:min(chunk, len(rest))])
		}
		if got := d.Table(); len(got.Sockets) != benchRows {
			b.Fatalf("%d sockets", len(got.Sockets))
		}
	}
	b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// A reused decoder allocates nothing once its buffers have the size of the table.
func TestReusedDecoderAllocatesNothing(t *testing.T) {
	table := established(benchRows)
	d := NewDecoder(binary.LittleEndian)
	allocations := testing.AllocsPerRun(5, func() {
		d.Reset()
		_, _ = d.Write(table)
		if got := d.Table(); len(got.Sockets) != benchRows {
			t.Fatalf("%d sockets", len(got.Sockets))
		}
	})
	if allocations > 0 {
		t.Errorf("%.0f allocations for a table of %d rows, want none", allocations, benchRows)
	}
}
