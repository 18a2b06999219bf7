// Package procfsbench compares the decoder of socket tables with prometheus/procfs on the same bytes. It is a separate
// module, so that Outpost does not depend on procfs.
package procfsbench

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/procfs"

	"github.com/PabloL007/outpost/internal/procnet"
)

const rows = 50_000

// writeTable writes rows of established IPv4 connections as tcp4_seq_show prints them. root is a directory that procfs
// accepts as /proc.
func writeTable(b *testing.B) (root, path string) {
	b.Helper()
	root = b.TempDir()
	path = filepath.Join(root, "net", "tcp")
	var text strings.Builder
	fmt.Fprintf(&text, "%-149s\n", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode")
	for i := range rows {
		fmt.Fprintf(&text, "%-149s\n", fmt.Sprintf("%4d: 020011AC:1F90 %08X:%04X 01 00000000:00000000 00:00000000 00000000  1000        0 %d 1 00000000088a4790 20 4 30 10 -1",
			i, 0x0A000000+i, 1024+i%60_000, 100_000+i))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return root, path
}

func BenchmarkTable(b *testing.B) {
	root, path := writeTable(b)

	b.Run("decoder=outpost", func(b *testing.B) {
		decoder, chunk := procnet.NewDecoder(binary.LittleEndian), make([]byte, 32<<10)
		b.ReportAllocs()
		for b.Loop() {
			file, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			decoder.Reset()
			_, err = io.CopyBuffer(decoder, struct{ io.Reader }{file}, chunk)
			table := decoder.Table()
			if err != nil || len(table.Sockets) != rows {
				b.Fatalf("%d rows, %v", len(table.Sockets), err)
			}
			_ = file.Close()
		}
		report(b)
	})
	b.Run("decoder=procfs", func(b *testing.B) {
		fs, err := procfs.NewFS(root)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			table, err := fs.NetTCP()
			if err != nil || len(table) != rows {
				b.Fatalf("%d rows, %v", len(table), err)
			}
		}
		report(b)
	})
}

func report(b *testing.B) {
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
