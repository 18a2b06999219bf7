package procnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/socket"
)

// The files come from a Linux 6.18 host. Link-local addresses are included.
func TestDecodeLocalAddressesGolden(t *testing.T) {
	want := []string{
		"172.17.0.1", "172.18.0.1", "192.0.2.10", "192.0.2.11", "198.51.100.7", "203.0.113.9",
		"2001:db8::10", "2001:db8:17::1", "2001:db8:18::1", "fd00::11",
		"fe80::20f2:e8ff:fe9e:2c4d", "fe80::38f0:baff:feae:5adb", "fe80::54ba:d6ff:fec9:6beb", "fe80::845b:38ff:fece:1a2d",
		"fe80::985f:13ff:fe61:1761", "fe80::9cfe:29ff:fe09:4b11", "fe80::d4a7:e1ff:fe07:f4c0",
	}
	directory := filepath.Join("testdata", "addresses-6.18-bridges")
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ifInet6, fibTrie := read("if_inet6"), read("fib_trie")
	got, err := DecodeLocalAddresses(strings.NewReader(fibTrie), strings.NewReader(ifInet6))
	if diff := cmp.Diff(want, texts(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	tables, err := os.ReadFile("testdata/linux-6.18")
	if err != nil {
		t.Fatal(err)
	}
	alone, followed := decode(t, binary.LittleEndian, string(tables)), decode(t, binary.LittleEndian, string(tables)+ifInet6+fibTrie)
	if diff := cmp.Diff(want, texts(followed.Addresses)); diff != "" || !followed.AddressRows || alone.AddressRows || alone.Addresses != nil {
		t.Errorf("rows %v, %v (-want +got):\n%s", followed.AddressRows, alone.AddressRows, diff)
	}
	if len(followed.Sockets) != len(alone.Sockets) || followed.Malformed != 0 {
		t.Errorf("%d sockets, %d malformed: %v", len(followed.Sockets), followed.Malformed, followed.FirstMalformed)
	}
}

func texts(addrs []netip.Addr) []string {
	var texts []string
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	return texts
}

func TestDecodeLocalAddresses(t *testing.T) {
	for name, test := range map[string]struct {
		fibTrie, ifInet6 string
		want             []string
	}{
		"no files": {},
		"loopback": {fibTrie: trie("Local", "127.0.0.1", "127.1.2.3"), ifInet6: inet6Row("::1", "10", "80", "lo")},
		"both tables, several interfaces": {
			fibTrie: trie("Main", "10.8.0.2", "10.0.0.2") + trie("Local", "10.0.0.2", "10.8.0.2"),
			ifInet6: inet6Row("fe80::1", "20", "80", "eth0") + inet6Row("fe80::1", "20", "80", "eth1") + inet6Row("fd00::2", "00", "80", "tun0"),
			want:    []string{"10.0.0.2", "10.8.0.2", "fd00::2", "fe80::1"},
		},
		"tentative, and rejected as a duplicate": {
			ifInet6: inet6Row("fd00::1", "00", "40", "eth0") + inet6Row("fd00::2", "00", "08", "eth0"),
			want:    []string{"fd00::1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeLocalAddresses(orNil(test.fibTrie), orNil(test.ifInet6))
			if diff := cmp.Diff(test.want, texts(got)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if streamed := decode(t, binary.LittleEndian, header4+test.ifInet6+test.fibTrie); !cmp.Equal(texts(streamed.Addresses), test.want) || streamed.Malformed != 0 {
				t.Errorf("in a stream: %v, %v", streamed.Addresses, streamed.FirstMalformed)
			}
		})
	}
}

func TestLocalAddressesAreBounded(t *testing.T) {
	var leaves []string
	for i := range 3000 {
		leaves = append(leaves, fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
	}
	for _, text := range []string{trie("Local", leaves...), trie("Main", leaves...) + trie("Local", leaves...)} {
		got, err := DecodeLocalAddresses(strings.NewReader(text), nil)
		if err != nil || len(got) != maxLocalAddresses {
			t.Errorf("%d addresses, %v", len(got), err)
		}
		if got := decode(t, binary.LittleEndian, text).Addresses; len(got) != maxLocalAddresses {
			t.Errorf("in a stream: %d addresses", len(got))
		}
	}
}

// What could be decoded beside malformed rows is returned. In a stream, these rows count as rows of a table.
func TestMalformedLocalAddresses(t *testing.T) {
	text := trie("Local", "10.0.0.2") + "     |-- 10.0.0.300\n        /32 host LOCAL\nnonsense\n"
	got, err := DecodeLocalAddresses(strings.NewReader(text), iotest.ErrReader(os.ErrPermission))
	if fmt.Sprint(texts(got)) != "[10.0.0.2]" || err == nil || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), "10.0.0.300") {
		t.Errorf("%v, %v", got, err)
	}
	streamed := decode(t, binary.LittleEndian, header4+text+row4("00000000:1F90", "00000000:0000", "0A", 1))
	if fmt.Sprint(texts(streamed.Addresses)) != "[10.0.0.2]" || streamed.Malformed != 3 || len(streamed.Sockets) != 1 || streamed.Sockets[0].State != socket.Listen {
		t.Errorf("%+v", streamed)
	}
}

// A decoder forgets the addresses of the previous stream.
func TestResetForgetsAddresses(t *testing.T) {
	d := NewDecoder(binary.LittleEndian)
	_, _ = d.Write([]byte(header4 + trie("Local", "10.0.0.2") + "     |-- 10.0.0.3\n"))
	d.Reset()
	_, _ = d.Write([]byte(header4 + "        /32 host LOCAL\n"))
	if table := d.Table(); table.Addresses != nil || table.AddressRows || table.Malformed != 1 {
		t.Errorf("%+v", table)
	}
}
