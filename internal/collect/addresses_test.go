package collect

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/procnet"
	"github.com/PabloL007/outpost/internal/socket"
)

// The addresses of a namespace are read from it, kept, and read again if a socket has another one.
func TestAddressesAreReadFromTheNamespace(t *testing.T) {
	for _, method := range []Method{Sockdiag, Procfs} {
		t.Run(string(method), func(t *testing.T) { testAddressesAreReadFromTheNamespace(t, method) })
	}
}

func testAddressesAreReadFromTheNamespace(t *testing.T, method Method) {
	pid := startProcess(t, "it", 0, "127.0.0.1:80")
	add := func(address string) {
		t.Helper()
		command := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(pid), "-n", "ip", "address", "add", address, "dev", "lo")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", address, err, output)
		}
	}
	add("192.0.2.7/32")
	w := &world{containers: []container.Container{running("it", pid, "bridge")}}
	c := w.collector(t, method)
	expect := func(want string) {
		t.Helper()
		result, err := c.Collect(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(result.Readings[0].NetNS.Addresses); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect("[192.0.2.7]")
	add("192.0.2.8/32")
	add("2001:db8::7/128")
	expect("[192.0.2.7]") // not read again at once
	startProcess(t, "other", pid, "192.0.2.8:81")
	expect("[192.0.2.7 192.0.2.8 2001:db8::7]")
}

func TestAddressesOfTheHostAreNotThoseOfAContainer(t *testing.T) {
	pid := startProcess(t, "it", 0, "127.0.0.1:80") // its namespace stands for the host's
	address := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(pid), "-n", "ip", "address", "add", "192.0.2.7/32", "dev", "lo")
	if output, err := address.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	w := &world{containers: []container.Container{running("it", pid, "host")}}
	result, err := w.collector(t, Procfs).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if r := result.Readings[0]; !r.NetNS.Host || len(r.NetNS.Sockets) != 1 || r.NetNS.Addresses != nil {
		t.Errorf("%+v", r.NetNS)
	}
}

// A command prints the addresses beside the tables. On the host's network it prints the tables alone.
func TestCommandsPrintAddresses(t *testing.T) {
	w := &world{
		containers: []container.Container{running("it", 0, "bridge"), running("host", 0, "host")},
		exec: func(ctx context.Context, container string, stdout io.Writer) error {
			if err := printTable(80)(ctx, container, stdout); err != nil {
				return err
			}
			_, err := io.WriteString(stdout, "fe800000000000000000000000000001 02 40 20 80     eth0\nMain:\n     |-- 10.0.0.2\n        /32 host LOCAL\n")
			return err
		},
	}
	result, err := w.collector(t, Exec).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"[10.0.0.2 fe80::1]", "[]"} {
		if got := fmt.Sprint(result.Readings[i].NetNS.Addresses); got != want {
			t.Errorf("%s: %s, want %s", result.Readings[i].Container.Name, got, want)
		}
	}
	if got := fmt.Sprint(w.arguments()); !strings.Contains(got, fmt.Sprint(netnsCommand)) || !strings.Contains(got, fmt.Sprint(tablesCommand)) {
		t.Errorf("commands %s", got)
	}
}

// After addresses that are too long, the command prints the tables alone.
func TestAddressesThatAreTooLongAreNotPrintedAgain(t *testing.T) {
	rows := []byte("Main:\n" + strings.Repeat("  +-- 10.0.0.0/8 2 0 2\n", 40<<10))
	w := &world{containers: []container.Container{running("it", 0, "bridge")}}
	w.exec = func(ctx context.Context, container string, stdout io.Writer) error {
		if err := printTable(80)(ctx, container, stdout); err != nil || len(w.arguments()) > 1 {
			return err
		}
		for range (maxOutput + maxDiscarded) / len(rows) {
			if _, err := stdout.Write(rows); err != nil {
				return err
			}
		}
		_, err := stdout.Write(rows)
		return err
	}
	c := w.collector(t, Exec)
	for range 3 {
		expectRead(t, w.read(t, c), map[string]string{"it": "exec 80; "})
	}
	if got, want := fmt.Sprint(w.arguments()), fmt.Sprint([][]string{netnsCommand, tablesCommand, tablesCommand}); got != want {
		t.Errorf("commands %s, want %s", got, want)
	}
}

func TestAddressCache(t *testing.T) {
	addr := netip.MustParseAddr
	at := func(local string) socket.Socket {
		return socket.Socket{Local: netip.AddrPortFrom(addr(local), 80)}
	}
	read := newNetNSAddresses([]netip.Addr{addr("10.0.0.2"), addr("fe80::1")}, []socket.Socket{at("10.0.0.2"), at("192.0.2.9"), at("192.0.2.1"), at("0.0.0.0")})
	for local, want := range map[string]bool{
		"10.0.0.2": true, "fe80::1": true, "0.0.0.0": true, "::": true, "127.0.0.11": true, "::1": true,
		"192.0.2.9": true, "192.0.2.1": true, // known not to be an address of the namespace
		"10.0.0.3": false, "fe80::2": false,
	} {
		if got := read.explains([]socket.Socket{at("10.0.0.2"), at(local)}); got != want {
			t.Errorf("%s is explained: %v", local, got)
		}
	}
	var many []socket.Socket
	for i := range 2 * maxForeign {
		many = append(many, at(fmt.Sprintf("10.1.%d.%d", i>>8, i&255)))
	}
	if n := len(newNetNSAddresses(nil, many).foreign); n != maxForeign {
		t.Errorf("%d foreign addresses", n)
	}
	synctest.Test(t, func(t *testing.T) {
		cache := addressCache{entries: make(map[addressKey]netnsAddresses)}
		first, second := addressKey{container: "a", startedAt: 1}, addressKey{container: "a", startedAt: 2}
		cache.put(first, newNetNSAddresses(read.addresses, nil))
		if got, ok := cache.get(first); !ok || !slices.Equal(got.addresses, read.addresses) {
			t.Errorf("%v, %v", got, ok)
		}
		if _, ok := cache.get(second); ok {
			t.Error("the addresses stay after a restart")
		}
		time.Sleep(addressesMaxAge - 1)
		if cache.expire(); len(cache.entries) != 1 {
			t.Error("removed too early")
		}
		time.Sleep(time.Nanosecond)
		if _, ok := cache.get(first); ok {
			t.Error("too old")
		}
		if cache.expire(); len(cache.entries) != 0 {
			t.Error("old addresses are not removed")
		}
	})
}

// The network namespace of a rootless engine has the address that slirp4netns chose. Clients dial the addresses of PID 1.
func TestAddressesOfARootlessEngine(t *testing.T) {
	proc, err := hostproc.OpenAt("/proc")
	if err != nil {
		t.Fatal(err)
	}
	outside := func() []procnet.Address {
		t.Helper()
		addresses, err := withProcess(proc.Init, (*hostproc.Process).Addresses)
		if err != nil {
			t.Fatal(err)
		}
		return addresses
	}
	itself := func() []procnet.Address { return []procnet.Address{{Addr: netip.MustParseAddr("10.0.2.101")}} }
	for own, want := range map[string]func() []procnet.Address{"10.0.2.100": outside, "10.0.2.101": itself} {
		pid := startProcess(t, "host"+own, 0, "127.0.0.1:80")
		command := exec.CommandContext(t.Context(), "nsenter", "--target", fmt.Sprint(pid), "--net", "sh", "-c", "ip link set lo up && ip address add "+own+"/32 dev lo")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		w := &world{}
		w.containers = append(w.containers, running("host"+own, pid, "host"))
		before := want() // another test may add a bridge meanwhile
		result, err := w.collector(t, Procfs).Collect(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if after := want(); result.AddressesErr != nil || !slices.Equal(result.Addresses, before) && !slices.Equal(result.Addresses, after) {
			t.Errorf("%s: %v, %v; want %v", own, result.Addresses, result.AddressesErr, after)
		}
	}
}
