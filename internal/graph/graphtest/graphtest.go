// Package graphtest helps tests to compare graphs.
package graphtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/graph"
)

// Lines returns the links of g in alphabetical order, one in a line:
// client > server:port via evidence established+closed [direction unknown] [number unanswered] [counters]
func Lines(g graph.Graph) string {
	names := make(map[string]string)
	for _, n := range g.Nodes {
		switch n.Kind {
		case graph.KindContainer:
			names[n.ID] = n.Host + "/" + n.Name
		case graph.KindHost:
			names[n.ID] = n.Name
		default:
			names[n.ID] = string(n.Kind) + " " + n.Name
		}
	}
	var all []string
	for _, l := range g.Links {
		line := fmt.Sprintf("%s > %s:%s %s %s %d", names[l.Client], names[l.Server], l.ServerPort(), l.Via, l.Evidence, l.Connections)
		if l.Closed > 0 {
			line += fmt.Sprintf("+%d", l.Closed)
		}
		if l.DirectionUnknown {
			line += " direction unknown"
		}
		if l.Attempts > 0 {
			line += fmt.Sprintf(" %d unanswered", l.Attempts)
		}
		if c := l.Counters; c != nil {
			line += fmt.Sprintf(" opened %d failed %d refused %d sent %d received %d", c.Opened, c.Failed, c.Refused, c.BytesSent, c.BytesReceived)
		}
		all = append(all, line+"\n")
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
