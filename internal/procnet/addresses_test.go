package procnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/lines"
)

const routeHeader = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n"

// routeRow returns a row as fib_route_seq_show prints it.
func routeRow(name, destination, gateway, flags, mask string) string {
	return fmt.Sprintf("%-127s\n", fmt.Sprintf("%s\t%s\t%s\t%s\t0\t0\t0\t%s\t0\t0\t0", name, destination, gateway, flags, mask))
}

// trie returns a table with each of leaves as a local address.
func trie(table string, leaves ...string) string {
	var text strings.Builder
	text.WriteString(table + ":\n  +-- 0.0.0.0/0 3 0 5\n")
	for _, leaf := range leaves {
		text.WriteString("     |-- " + leaf + "\n        /32 host LOCAL\n")
	}
	return text.String()
}

// inet6Row returns a row as if6_seq_show prints it.
func inet6Row(addr, scope, flags, name string) string {
	return fmt.Sprintf("%x 02 40 %s %s %8s\n", netip.MustParseAddr(addr).As16(), scope, flags, name)
}

// orNil returns nil, for a file that does not exist, if text is empty.
func orNil(text string) io.Reader {
	if text == "" {
		return nil
	}
	return strings.NewReader(text)
}

func format(addresses []Address) []string {
	var text []string
	for _, a := range addresses {
		line := strings.TrimSpace(a.Addr.String() + " " + a.Interface)
		if a.DefaultRoute {
			line += " default"
		}
		text = append(text, line)
	}
	return text
}

func TestDecodeAddresses(t *testing.T) {
	tests := []struct {
		name      string
		fibTrie   string
		route     string
		ifInet6   string
		bigEndian bool
		want      []string
	}{
		{name: "no files"},
		{name: "only loopback", fibTrie: trie("Local", "127.0.0.1", "127.1.2.3"), route: routeHeader, ifInet6: inet6Row("::1", "10", "80", "lo")},
		{
			name:    "bridges",
			fibTrie: trie("Local", "172.17.0.1", "172.18.0.1", "192.0.2.10"),
			route: routeHeader +
				routeRow("eth0", "00000000", "010200C0", "0003", "00000000") +
				routeRow("docker0", "000011AC", "00000000", "0001", "0000FFFF") +
				routeRow("br-0123456789ab", "000012AC", "00000000", "0001", "0000FFFF") +
				routeRow("eth0", "000200C0", "00000000", "0001", "00FFFFFF"),
			ifInet6: inet6Row("2001:db8:18::1", "00", "80", "br-0123456789ab") + inet6Row("2001:db8:17::1", "00", "80", "docker0"),
			want: []string{
				"172.17.0.1 docker0", "172.18.0.1 br-0123456789ab", "192.0.2.10 eth0 default",
				"2001:db8:17::1 docker0", "2001:db8:18::1 br-0123456789ab",
			},
		},
		{
			name:      "big-endian route",
			bigEndian: true,
			fibTrie:   trie("Local", "172.17.0.1", "192.0.2.10"),
			route: routeHeader +
				routeRow("eth0", "00000000", "C0000201", "0003", "00000000") +
				routeRow("docker0", "AC110000", "00000000", "0001", "FFFF0000") +
				routeRow("eth0", "C0000200", "00000000", "0001", "FFFFFF00"),
			ifInet6: inet6Row("2001:db8::1", "00", "80", "eth0"),
			want:    []string{"172.17.0.1 docker0", "192.0.2.10 eth0 default", "2001:db8::1 eth0 default"},
		},
		{
			name:    "both tables, ascending by number",
			fibTrie: trie("Main", "192.0.2.10", "10.0.0.1", "9.0.0.1") + trie("Local", "10.0.0.1", "192.0.2.10", "9.0.0.1"),
			want:    []string{"9.0.0.1", "10.0.0.1", "192.0.2.10"},
		},
		{
			name: "routes that are not addresses",
			fibTrie: "Id 100:\n  |-- 10.7.0.0\n     /16 link UNICAST\nMain:\n  |-- 192.0.2.0\n     /24 host LOCAL\n     /24 link UNICAST\n" +
				"  |-- 192.0.2.255\n     /32 link BROADCAST\n  |-- 203.0.113.1\n     /32 universe UNREACHABLE\n     /32 scope=7 type 14\n" +
				"  |-- 192.0.2.1\n     /32 link UNICAST\n     /32 host LOCAL tos=16\n",
			want: []string{"192.0.2.1"},
		},
		{
			name:    "longest direct route",
			fibTrie: trie("Local", "10.1.2.3", "10.1.9.1", "10.9.9.9", "198.51.100.7"),
			route: routeHeader +
				routeRow("wide", "0000000A", "00000000", "0001", "000000FF") +
				routeRow("host", "0302010A", "00000000", "0005", "FFFFFFFF") +
				routeRow("narrow", "0000010A", "00000000", "0001", "0000FFFF"),
			want: []string{"10.1.2.3 host", "10.1.9.1 narrow", "10.9.9.9 wide", "198.51.100.7"},
		},
		{
			name:    "routes without a usable interface",
			fibTrie: trie("Local", "192.0.2.10"),
			route: routeHeader +
				routeRow("tun0", "00000000", "00000000", "0001", "00000000") +
				routeRow("gw", "000200C0", "010200C0", "0003", "00FFFFFF") +
				routeRow("inet6gw", "000200C0", "00000000", "0003", "80FFFFFF") +
				routeRow("down", "000200C0", "00000000", "0000", "C0FFFFFF") +
				routeRow("*", "000200C0", "00000000", "0001", "E0FFFFFF") +
				routeRow("*", "000200C0", "00000000", "0201", "F0FFFFFF"),
			want: []string{"192.0.2.10"},
		},
		{
			name:    "default routes",
			fibTrie: trie("Local", "192.0.2.10", "198.51.100.7", "203.0.113.7", "10.0.0.1"),
			route: routeHeader +
				routeRow("br0", "00000000", "010200C0", "0003", "00000000") +
				routeRow("ppp0", "00000000", "00000000", "0001", "00000000") +
				routeRow("eth1", "00000000", "00000000", "0000", "00000000") +
				routeRow("*", "00000000", "00000000", "0201", "00000000") +
				routeRow("docker0", "0000000A", "010200C0", "0003", "000000FF") +
				routeRow("br0", "000200C0", "00000000", "0001", "00FFFFFF") +
				routeRow("ppp0", "006433C6", "00000000", "0001", "00FFFFFF") +
				routeRow("eth1", "007100CB", "00000000", "0001", "00FFFFFF") +
				routeRow("docker0", "0000000A", "00000000", "0001", "00FFFFFF"),
			ifInet6: inet6Row("2001:db8::1", "00", "80", "br0"),
			want:    []string{"10.0.0.1 docker0", "192.0.2.10 br0 default", "198.51.100.7 ppp0 default", "203.0.113.7 eth1", "2001:db8::1 br0 default"},
		},
		{
			name:    "one network on two interfaces",
			fibTrie: trie("Local", "192.0.2.10", "192.0.2.11", "198.51.100.7"),
			route: routeHeader +
				routeRow("eth0", "000200C0", "00000000", "0001", "00FFFFFF") +
				routeRow("wlan0", "000200C0", "00000000", "0001", "00FFFFFF") +
				routeRow("eth0", "000200C0", "00000000", "0001", "00FFFFFF") +
				routeRow("eth0", "006433C6", "00000000", "0001", "00FFFFFF") +
				routeRow("eth0", "006433C6", "00000000", "0001", "00FFFFFF"),
			want: []string{"192.0.2.10", "192.0.2.11", "198.51.100.7 eth0"},
		},
		{
			name: "IPv6 scopes and flags",
			ifInet6: inet6Row("fe80::1", "20", "80", "eth0") +
				inet6Row("::1", "10", "80", "lo") +
				inet6Row("2001:db8::40", "00", "c0", "tentative") +
				inet6Row("2001:db8::8", "00", "88", "dadfailed") +
				inet6Row("2001:db8::48", "00", "48", "both") +
				inet6Row("2001:db8::20", "00", "20", "deprecated") +
				inet6Row("2001:db8::1", "00", "01", "temporary") +
				inet6Row("fec0::1", "40", "80", "site") +
				inet6Row("fd00::1", "00", "82", "ula"),
			want: []string{"2001:db8::1 temporary", "2001:db8::20 deprecated", "fd00::1 ula", "fec0::1 site"},
		},
		{
			name: "one IPv6 address on two interfaces",
			ifInet6: inet6Row("2001:db8::1", "00", "82", "eth0") + inet6Row("2001:db8::1", "00", "82", "eth1") +
				inet6Row("2001:db8::1", "00", "82", "eth0"),
			want: []string{"2001:db8::1"},
		},
		{
			name:    "long index and a name with a Unicode space",
			ifInet6: "20010db8000000000000000000000001 1e240 40 00 80 a\u2003b\n",
			want:    []string{"2001:db8::1 a\u2003b"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			order := binary.ByteOrder(binary.LittleEndian)
			if test.bigEndian {
				order = binary.BigEndian
			}
			got, err := DecodeAddresses(orNil(test.fibTrie), orNil(test.route), orNil(test.ifInet6), order)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, format(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Each text has a valid row before and after its malformed part. Both are returned together with the error.
func TestDecodeAddressesSkipsMalformedRows(t *testing.T) {
	badTrie := func(wrong string) string { return trie("Local", "192.0.2.1") + wrong + trie("Main", "192.0.2.2") }
	badRoute := func(wrong string) string {
		return routeHeader + routeRow("eth0", "000200C0", "00000000", "0001", "FEFFFFFF") + wrong +
			routeRow("eth1", "020200C0", "00000000", "0001", "FEFFFFFF")
	}
	badInet6 := func(wrong string) string {
		return inet6Row("2001:db8::1", "00", "80", "eth0") + wrong + inet6Row("2001:db8::2", "00", "80", "eth1")
	}
	const long16 = "br-0123456789abc"
	tests := []struct {
		name                    string
		fibTrie, route, ifInet6 string
		want                    string
	}{
		{name: "error message of a command", fibTrie: badTrie("cat: cannot open\n"), want: `fib_trie: line 5 "cat: cannot open": neither a table`},
		{name: "empty line", fibTrie: badTrie("\n"), want: errTrieRow.Error()},
		{name: "leaf is not an address", fibTrie: badTrie("  |-- 192.0.2.300\n"), want: errTrieLeaf.Error()},
		{name: "leaf is IPv6", fibTrie: badTrie("  |-- ::1\n"), want: errTrieLeaf.Error()},
		{name: "route below no leaf", fibTrie: badTrie("  |-- 192.0.2\n     /32 host LOCAL\n"), want: "fib_trie: 2 malformed lines, the first: line 5"},
		{name: "route below a node", fibTrie: badTrie("  +-- 192.0.2.0/24 2 0 2\n     /32 host LOCAL\n"), want: errNoLeaf.Error()},
		{name: "route of two fields", fibTrie: badTrie("  |-- 192.0.2.9\n     /32 host\n     /32 host LOCAL\n"), want: "2 malformed lines"},
		{name: "short route", route: badRoute("eth0\t000200C0\t00000000\n"), want: "route: line 3"},
		{name: "name too long", route: badRoute(routeRow(long16, "000200C0", "00000000", "0001", "00FFFFFF")), want: errInterface.Error()},
		{name: "destination too short", route: badRoute(routeRow("x", "0200C0", "00000000", "0001", "00FFFFFF")), want: errRouteWord.Error()},
		{name: "destination too long", route: badRoute(routeRow("x", "0000200C0", "00000000", "0001", "00FFFFFF")), want: errRouteWord.Error()},
		{name: "gateway not hexadecimal", route: badRoute(routeRow("x", "000200C0", "0000000G", "0001", "00FFFFFF")), want: errRouteWord.Error()},
		{name: "mask not hexadecimal", route: badRoute(routeRow("x", "000200C0", "00000000", "0001", "-0FFFFFF")), want: errRouteWord.Error()},
		{name: "mask with a hole", route: badRoute(routeRow("x", "000200C0", "00000000", "0001", "FF00FFFF")), want: errRoutePrefix.Error()},
		{name: "mask of the other byte order", route: badRoute(routeRow("x", "AC110000", "00000000", "0001", "FFFF0000")), want: errRoutePrefix.Error()},
		{name: "destination beyond its mask", route: badRoute(routeRow("x", "010200C0", "00000000", "0001", "00FFFFFF")), want: errRoutePrefix.Error()},
		{name: "flags not hexadecimal", route: badRoute(routeRow("x", "000200C0", "00000000", "U", "00FFFFFF")), want: errRouteFlags.Error()},
		{name: "five fields", ifInet6: badInet6("20010db8000000000000000000000009 02 40 00 80\n"), want: "if_inet6: line 2"},
		{name: "seven fields", ifInet6: badInet6(inet6Row("2001:db8::9", "00", "80", "a b")), want: errInet6Fields.Error()},
		{name: "address too short", ifInet6: badInet6("20010db80000000000000000000009 02 40 00 80 eth0\n"), want: errInet6Address.Error()},
		{name: "address not hexadecimal", ifInet6: badInet6("20010db800000000000000000000000g 02 40 00 80 eth0\n"), want: errInet6Address.Error()},
		{name: "scope not hexadecimal", ifInet6: badInet6(inet6Row("2001:db8::9", "x", "80", "eth0")), want: errInet6Number.Error()},
		{name: "flags too long", ifInet6: badInet6(inet6Row("2001:db8::9", "00", "000000080", "eth0")), want: errInet6Number.Error()},
		{name: "IPv6 name too long", ifInet6: badInet6(inet6Row("2001:db8::9", "00", "80", long16)), want: errInterface.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fibTrie, route, ifInet6 := test.fibTrie, test.route, test.ifInet6
			want := []string{}
			if fibTrie == "" && route != "" {
				fibTrie = badTrie("")
			}
			switch {
			case route != "":
				want = append(want, "192.0.2.1 eth0", "192.0.2.2 eth1")
			case fibTrie != "":
				want = append(want, "192.0.2.1", "192.0.2.2")
			default:
				want = append(want, "2001:db8::1 eth0", "2001:db8::2 eth1")
			}
			got, err := DecodeAddresses(orNil(fibTrie), orNil(route), orNil(ifInet6), binary.LittleEndian)
			var row *lines.RowError
			if err == nil || !strings.Contains(err.Error(), test.want) || !errors.As(err, &row) {
				t.Errorf("error %v, want a RowError with %q in it", err, test.want)
			}
			if diff := cmp.Diff(want, format(got)); diff != "" {
				t.Errorf("addresses beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeAddressesStopsReading(t *testing.T) {
	broken := errors.New("broken")
	good := inet6Row("2001:db8::1", "00", "80", "eth0")
	tests := []struct {
		name    string
		ifInet6 io.Reader
		want    string
	}{
		{"line without end", strings.NewReader(good + strings.Repeat("0", lines.MaxLength+1) + "\n" + good), "if_inet6: line 2 "},
		{"longest line", strings.NewReader(good + strings.Repeat("0", lines.MaxLength) + "\n"), errInet6Fields.Error()},
		{"cut short in a name", strings.NewReader(good + "20010db8000000000000000000000002 02 40 00 80 eth"), errCutShort.Error()},
		{"failed read", io.MultiReader(strings.NewReader(good+"bad\n"), iotest.ErrReader(broken)), "if_inet6: line 2 \"bad\": not six fields\nread line 3: broken"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := DecodeAddresses(nil, nil, test.ifInet6, binary.LittleEndian)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if diff := cmp.Diff([]string{"2001:db8::1 eth0"}, format(got)); diff != "" {
				t.Errorf("addresses beside the error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeAddressesIsBounded(t *testing.T) {
	var fibTrie, route, ifInet6 strings.Builder
	fibTrie.WriteString("Local:\n")
	route.WriteString(routeHeader)
	for i := range uint32(maxAddresses + 1) {
		addr := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24+i)))
		fmt.Fprintf(&fibTrie, "  |-- %v\n     /32 host LOCAL\n     /32 host LOCAL\n", addr)
		route.WriteString(routeRow("eth0", fmt.Sprintf("%08X", 10<<24+i), "00000000", "0005", "FFFFFFFF"))
	}
	ifInet6.WriteString(inet6Row("2001:db8::1", "00", "80", "eth0"))
	got, err := DecodeAddresses(strings.NewReader(fibTrie.String()), strings.NewReader(route.String()),
		strings.NewReader(ifInet6.String()), binary.BigEndian)
	if len(got) != maxAddresses || !errors.Is(err, errTooMany) {
		t.Fatalf("%d addresses, %v; want %d, %v", len(got), err, maxAddresses, errTooMany)
	}
	for _, file := range []string{"fib_trie", "route", "if_inet6"} {
		if !strings.Contains(err.Error(), file+": line ") {
			t.Errorf("error %v does not mention %s", err, file)
		}
	}
	if last := (Address{Addr: netip.MustParseAddr("10.0.255.255"), Interface: "eth0"}); got[len(got)-1] != last {
		t.Errorf("last is %v, want %v", got[len(got)-1], last)
	}
}

// The golden files come from a Linux 6.18 host. addresses-6.18 is the host's own namespace. addresses-6.18-bridges is a
// namespace with docker0, br-0123456789ab, two interfaces in one network, and a policy rule, which separates the Local
// table from Main.
func TestDecodeAddressesGolden(t *testing.T) {
	for _, name := range []string{"addresses-6.18", "addresses-6.18-bridges"} {
		t.Run(name, func(t *testing.T) {
			open := func(file string) io.Reader {
				text, err := os.ReadFile(filepath.Join("testdata", name, file))
				if err != nil {
					t.Fatal(err)
				}
				return strings.NewReader(string(text))
			}
			got, err := DecodeAddresses(open("fib_trie"), open("route"), open("if_inet6"), binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(open("golden"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), strings.Join(format(got), "\n")+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add(trie("Local", "127.0.0.1", "172.17.0.1"), routeHeader+routeRow("docker0", "000011AC", "00000000", "0001", "0000FFFF"),
		inet6Row("2001:db8::1", "00", "80", "eth0"), false)
	f.Add(trie("Main", "192.0.2.1"), routeHeader+routeRow("eth0", "C0000200", "00000000", "0001", "FFFFFF00"), inet6Row("fe80::1", "20", "80", "eth0"), true)
	f.Add("  |-- 192.0.2.1\n/32 host LOCAL", "eth0\t0\n", "0", false)
	f.Fuzz(func(t *testing.T, fibTrie, route, ifInet6 string, bigEndian bool) {
		order := binary.ByteOrder(binary.LittleEndian)
		if bigEndian {
			order = binary.BigEndian
		}
		whole, err := DecodeAddresses(strings.NewReader(fibTrie), strings.NewReader(route), strings.NewReader(ifInet6), order)
		bytewise, bytewiseErr := DecodeAddresses(iotest.OneByteReader(strings.NewReader(fibTrie)),
			iotest.OneByteReader(strings.NewReader(route)), iotest.OneByteReader(strings.NewReader(ifInet6)), order)
		if diff := cmp.Diff(whole, bytewise, cmpopts.EquateComparable(netip.Addr{})); diff != "" || !sameText(err, bytewiseErr) {
			t.Errorf("%v, bytewise %v; whole and bytewise differ:\n%s", err, bytewiseErr, diff)
		}
		checkAddresses(t, whole, fibTrie, route, ifInet6)
		bare, _ := DecodeAddresses(strings.NewReader(fibTrie), nil, strings.NewReader(ifInet6), order)
		if diff := cmp.Diff(withoutInterfaces(whole), withoutInterfaces(bare), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("route changes the addresses:\n%s", diff)
		}
	})
}

func checkAddresses(t *testing.T, addresses []Address, fibTrie, route, ifInet6 string) {
	t.Helper()
	for i, a := range addresses {
		if i > 0 && addresses[i-1].Addr.Compare(a.Addr) >= 0 {
			t.Errorf("%v stands before %v", addresses[i-1], a)
		}
		source := ifInet6
		if a.Addr.Is4() {
			source = route
			if a.Addr.IsLoopback() || !strings.Contains(fibTrie, a.Addr.String()) {
				t.Errorf("%v is loopback or not in %q", a, fibTrie)
			}
		}
		if len(a.Interface) > maxInterfaceName || !strings.Contains(source, a.Interface) {
			t.Errorf("%v: no such interface in %q", a, source)
		}
	}
	if rows := strings.Count(fibTrie, "\n") + strings.Count(ifInet6, "\n"); len(addresses) > rows {
		t.Errorf("%d addresses of %d rows", len(addresses), rows)
	}
}

func withoutInterfaces(addresses []Address) []netip.Addr {
	var addrs []netip.Addr
	for _, a := range addresses {
		addrs = append(addrs, a.Addr)
	}
	return addrs
}
