package conntrack_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/conntrack/conntracktest"
	"github.com/PabloL007/outpost/internal/socket"
)

func flow(client, dialled, server, source string) conntrack.Flow {
	at := netip.MustParseAddrPort
	return conntrack.Flow{
		Original: conntrack.Tuple{Source: at(client), Destination: at(dialled)},
		Reply:    conntrack.Tuple{Source: at(server), Destination: at(source)}, Replied: true,
	}
}

// A table of the kernel is the same as text and through netlink.
func TestKernelsTable(t *testing.T) {
	published := flow("192.0.2.7:40000", "10.77.0.11:18090", "172.17.0.2:8080", "192.0.2.7:40000")
	masqueraded := flow("172.17.0.3:40000", "198.51.100.1:443", "198.51.100.1:443", "10.77.0.11:40997")
	masqueraded.Closing = true
	ipv6 := flow("[2001:db8::7]:1", "[2001:db8::11]:2", "[fd00::2]:3", "[2001:db8::7]:1")
	dns := flow("172.17.0.3:5353", "198.51.100.53:53", "198.51.100.53:53", "10.77.0.11:5353")
	dns.Protocol, dns.Replied = socket.UDP, false
	plain := flow("172.17.0.3:40001", "172.17.0.2:8080", "172.17.0.2:8080", "172.17.0.3:40001")
	pid := conntracktest.Start(t)
	netns := conntracktest.Fill(t, pid, published, masqueraded, ipv6, dns, plain)

	dumped, err := conntrack.Dump(t.Context(), netns)
	if err != nil {
		t.Fatal(err)
	}
	want := []conntrack.Flow{published, masqueraded, ipv6, dns}
	checkFlows(t, "netlink", want, dumped)

	net := filepath.Join("/proc", strconv.Itoa(pid), "net")
	text, err := os.ReadFile(filepath.Join(net, "nf_conntrack"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the kernel shows no table as text")
	}
	if err != nil {
		t.Fatal(err)
	}
	decoder := conntrack.NewDecoder()
	if _, err := decoder.Write(text); err != nil {
		t.Fatal(err)
	}
	checkFlows(t, "text", want, decoder.Table())
	count, err := os.Open(filepath.Join(net, "stat", "nf_conntrack"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = count.Close() }()
	if n, err := conntrack.DecodeCount(count); n != len(want)+1 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

func checkFlows(t *testing.T, by string, want []conntrack.Flow, table conntrack.Table) {
	t.Helper()
	order := func(a, b conntrack.Flow) int { return a.Original.Source.Compare(b.Original.Source) }
	slices.SortFunc(want, order)
	slices.SortFunc(table.Flows, order)
	if diff := cmp.Diff(want, table.Flows, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", by, diff)
	}
	if table.Rows != len(want)+1 || table.Malformed != 0 {
		t.Errorf("%s: %d rows, %d malformed: %v", by, table.Rows, table.Malformed, table.FirstMalformed)
	}
}
