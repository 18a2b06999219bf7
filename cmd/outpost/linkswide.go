package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// wideColumns are the names of the columns that links --wide adds.
var wideColumns = []string{"OPENED", "FAILED", "SENT", "RECEIVED", "RETRANSMITS", "RTT"}

// notCounted is the text of a cell without a value.
const notCounted = "-"

// printWideLinks prints the table of printLinks with the counters of the links.
func printWideLinks(stdout io.Writer, g graph.Graph) error {
	return printLinkTable(stdout, g, wideColumns, wideCells)
}

// wideCells returns the cells of wideColumns for a link.
func wideCells(l graph.Link) []string {
	c := l.Counters
	if c == nil || l.Protocol != socket.TCP {
		cells := slices.Repeat([]string{notCounted}, len(wideColumns))
		if c != nil { // the kernel reports nothing more of UDP
			cells[0] = strconv.FormatUint(c.Opened, 10)
		}
		return cells
	}
	return []string{
		strconv.FormatUint(c.Opened, 10), formatFailed(c), formatBytes(c.BytesSent), formatBytes(c.BytesReceived), strconv.FormatUint(c.Retransmits, 10),
		formatRTT(c.RTTMicroseconds),
	}
}

// formatFailed writes the number of failed dials, and how many of them were refused.
func formatFailed(c *graph.Counters) string {
	if c.Refused == 0 {
		return strconv.FormatUint(c.Failed, 10)
	}
	return fmt.Sprintf("%d (%d refused)", c.Failed, c.Refused)
}

// formatRTT writes a round-trip time in microseconds as milliseconds. 0 is an unknown time.
func formatRTT(microseconds int64) string {
	if microseconds == 0 {
		return notCounted
	}
	return fmt.Sprintf("%.2f ms", float64(microseconds)/1000)
}

// formatBytes writes an amount of data in decimal units.
func formatBytes(bytes uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	amount, unit := float64(bytes), 0
	for ; amount >= 1000 && unit < len(units)-1; unit++ {
		amount /= 1000
	}
	if unit > 0 && amount < 10 {
		return fmt.Sprintf("%.1f %s", amount, units[unit])
	}
	return fmt.Sprintf("%.0f %s", math.Round(amount), units[unit])
}

// formatRefused writes that the server refuses all dials of a link.
func formatRefused(l graph.Link) string {
	if l.Counters.Failed == 1 {
		return "refused, 1 failed dial"
	}
	return fmt.Sprintf("refused, %d failed dials", l.Counters.Failed)
}
