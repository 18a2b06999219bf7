package graph

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Names are the configured names of external networks.
type Names struct {
	lengths []int // of the prefixes, descending
	names   map[netip.Prefix]string
}

// NameOf returns the name of the smallest named network that contains addr. It is empty if no network contains addr, or
// if n is nil.
func (n *Names) NameOf(addr netip.Addr) string {
	if n == nil {
		return ""
	}
	for _, length := range n.lengths {
		if prefix, err := addr.Prefix(length); err == nil {
			if name, ok := n.names[prefix]; ok {
				return name
			}
		}
	}
	return ""
}

// ReadNames parses lines of a network or address, blanks, and a name. A # starts a comment. The error names the line.
func ReadNames(r io.Reader) (*Names, error) {
	names := &Names{names: make(map[netip.Prefix]string)}
	lines := bufio.NewScanner(r)
	for number := 1; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, name, _ := strings.Cut(text, " ")
		if before, after, tab := strings.Cut(text, "\t"); tab && len(before) < len(network) {
			network, name = before, after
		}
		name = Truncate(strings.TrimSpace(name))
		prefix, err := parsePrefix(network)
		if err != nil || name == "" {
			return nil, fmt.Errorf("line %d: %q: want a network and a name, such as 192.0.2.0/24 payments", number, Truncate(text))
		}
		names.names[prefix] = name
		if !slices.Contains(names.lengths, prefix.Bits()) {
			names.lengths = append(names.lengths, prefix.Bits())
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("names: %w", err)
	}
	slices.Sort(names.lengths)
	slices.Reverse(names.lengths)
	return names, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return addr.Unmap().Prefix(addr.Unmap().BitLen())
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}
