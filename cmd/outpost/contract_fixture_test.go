package main

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

// contractHost is a host with a fake engine.
type contractHost struct {
	engine *enginetest.Engine
	env    []string
}

// newContractHost returns a host of that name with addresses and containers.
func newContractHost(t *testing.T, name, addresses string, containers ...*enginetest.Container) contractHost {
	t.Helper()
	engine := enginetest.New(t, containers...)
	engine.SetHost(name)
	names, links := filepath.Join(t.TempDir(), "names"), filepath.Join(t.TempDir(), "links")
	for path, text := range map[string]string{names: "198.51.100.0/24 payments\n", links: "# of Dozzle\nLogs https://logs.example/container/{id}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return contractHost{engine: engine, env: []string{
		"DOCKER_HOST=" + os.Getenv("DOCKER_HOST"), "OUTPOST_INTERFACES=" + addresses, "OUTPOST_NAMES=" + names,
		"OUTPOST_LINKS=" + links,
	}}
}

// The hosts of the contract. 10.99.0.1 is an address of both alpha and beta, so that it is ambiguous to gamma.
const (
	alphaAddresses = "10.77.0.11,10.99.0.1"
	betaAddresses  = "10.77.0.12,10.99.0.1,2001:db8:77::12"
	gammaAddresses = "10.77.0.13"
)

func alpha(t *testing.T) contractHost {
	t.Helper()
	return newContractHost(t, "alpha", alphaAddresses,
		&enginetest.Container{
			Name: "web", Image: "shop/web:1.2", NetworkMode: "shop_default", Labels: compose("shop", "web"), Health: "healthy", Restarts: 2,
			Networks: map[string]enginetest.Network{
				"shop_default": bridge("shop", "172.18.0.2", "172.18.0.1", "fd00:a::2", "fd00:a::1"),
				"mesh":         overlay("10.0.9.2"),
			},
			Ports: map[string][]enginetest.Binding{
				"80/tcp":   {{HostIP: "0.0.0.0", HostPort: "8080"}, {HostIP: "::", HostPort: "8080"}, {HostIP: "127.0.0.1", HostPort: "9080"}},
				"443/tcp":  {{HostIP: "10.77.0.11", HostPort: "8443"}},
				"9999/tcp": nil,
				"53/udp":   {{HostIP: "0.0.0.0", HostPort: "53"}},
			},
			Exec: tables(listing("web", 1, 2, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 30),
				"LISTEN [::]:80 [::]:0 1",
				"LISTEN 172.18.0.2:443 0.0.0.0:0 2",
				"LISTEN 127.0.0.1:9000 0.0.0.0:0 3", // of the sidecar
				"ESTABLISHED [::ffff:172.18.0.2]:80 [::ffff:10.77.0.12]:40001 10",
				"ESTABLISHED [::ffff:172.18.0.2]:80 [::ffff:192.0.2.7]:51000 11",
				"ESTABLISHED [::ffff:172.18.0.2]:80 [::ffff:192.0.2.7]:51001 12",
				"ESTABLISHED [::ffff:172.18.0.2]:80 [::ffff:198.51.100.20]:51002 13",
				"ESTABLISHED [::ffff:172.18.0.2]:80 [::ffff:172.18.0.1]:49380 14", // docker-proxy
				"ESTABLISHED [fd00:a::2]:80 [2001:db8::9]:51003 15",
				"ESTABLISHED 172.18.0.2:443 10.77.0.13:51004 16",
				"SYN_RECV 172.18.0.2:443 203.0.113.9:51005 0",
				"TIME_WAIT [::ffff:172.18.0.2]:80 [::ffff:192.0.2.8]:51006 0",
				"ESTABLISHED 172.18.0.2:40100 10.77.0.12:15432 20",
				"ESTABLISHED 172.18.0.2:40101 172.18.0.3:5432 21",
				"ESTABLISHED 172.18.0.2:40102 172.18.0.3:5432 22",
				"TIME_WAIT 172.18.0.2:40103 172.18.0.3:5432 0",
				"ESTABLISHED 10.0.9.2:40104 10.0.9.3:9000 23",
				"ESTABLISHED 172.18.0.2:40105 203.0.113.5:443 24",
				"CLOSE_WAIT 172.18.0.2:40106 203.0.113.6:443 25",
				"ESTABLISHED 127.0.0.1:40107 127.0.0.1:9000 30",
				"ESTABLISHED 127.0.0.1:9000 127.0.0.1:40107 31",
			),
		},
		&enginetest.Container{
			Name: "sidecar", Image: "shop/sidecar:1", NetworkMode: "container:" + enginetest.ID("web"), Labels: compose("shop", "sidecar"),
			Exec: tables(listing("sidecar", 3, 31)),
		},
		&enginetest.Container{
			Name: "db", Image: "postgres:17", NetworkMode: "shop_default", Labels: compose("shop", "db"),
			Networks: map[string]enginetest.Network{"shop_default": bridge("shop", "172.18.0.3", "172.18.0.1", "fd00:a::3", "fd00:a::1")},
			Exec: tables(ownAddresses,
				"LISTEN 0.0.0.0:5432 0.0.0.0:0 1",
				"LISTEN [::]:5432 [::]:0 2",
				"ESTABLISHED 172.18.0.3:5432 172.18.0.2:40101 3",
				"ESTABLISHED 172.18.0.3:5432 172.18.0.2:40102 4",
				"ESTABLISHED 172.18.0.3:5432 172.18.0.1:40200 5", // of the exporter, on the host's network
			),
		},
		&enginetest.Container{
			Name: "client", Image: "curl", NetworkMode: "default",
			Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.2", "172.17.0.1", "", "")},
			Exec: tables("",
				"ESTABLISHED 172.17.0.2:40300 172.17.0.1:8080 1",
				"ESTABLISHED 172.17.0.2:40301 10.77.0.11:9100 2",
				"ESTABLISHED 172.17.0.2:40302 198.51.100.21:443 3",
			),
		},
		&enginetest.Container{
			Name: "exporter", Image: "exporter:1", NetworkMode: "host", Labels: compose("monitoring", "exporter"), Health: "unhealthy",
			Mounts: []enginetest.Mount{{Type: "bind", Source: "/", Destination: "/rootfs"}},
			Exec: tables(listing("exporter", 1, 10, 11, 12),
				"LISTEN 0.0.0.0:9100 0.0.0.0:0 1",
				"LISTEN [::1]:9101 [::]:0 2", // of the agent
				"LISTEN 0.0.0.0:8080 0.0.0.0:0 90",
				"LISTEN 0.0.0.0:22 0.0.0.0:0 91",
				"ESTABLISHED 172.18.0.1:40200 172.18.0.3:5432 10",
				"ESTABLISHED 10.77.0.11:40201 10.77.0.12:9100 11",
				"ESTABLISHED 10.77.0.11:9100 172.17.0.2:40301 12",
				"ESTABLISHED 172.18.0.1:49380 172.18.0.2:80 92", // docker-proxy
				"ESTABLISHED 10.77.0.11:22 192.0.2.99:50000 93",
			),
		},
		&enginetest.Container{
			Name: "agent", Image: "agent:1", NetworkMode: "host",
			Exec: func([]string) enginetest.Exec { return enginetest.Exec{Stderr: "sh: ls: not found\n", Code: 127} },
		},
		&enginetest.Container{Name: "paused", Image: "shop/batch:1", State: "paused", Labels: compose("shop", "batch")},
		&enginetest.Container{Name: "restarting", Image: "shop/batch:2", State: "restarting"},
		&enginetest.Container{Name: "failing", Image: "shop/batch:3", Exec: func([]string) enginetest.Exec {
			return enginetest.Exec{StartStatus: http.StatusInternalServerError, Message: "boom"}
		}},
		&enginetest.Container{Name: "distroless", Image: "shop/static:1", Exec: func([]string) enginetest.Exec {
			return enginetest.Exec{Stdout: "OCI runtime exec failed: exec: \"cat\": executable file not found in $PATH: unknown\r\n", Code: 126}
		}},
		&enginetest.Container{
			Name: "halves", Image: "shop/odd:1", Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.9", "172.17.0.1", "", "")},
			Exec: tables("", "LISTEN 0.0.0.0:81 0.0.0.0:0 1", "nonsense"),
		},
		&enginetest.Container{
			Name: "sandboxed", Image: "shop/sandboxed:1", Runtime: "runsc", Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.10", "172.17.0.1", "", "")},
			Exec: tables("", "LISTEN 0.0.0.0:82 0.0.0.0:0 0"),
		},
	)
}

func beta(t *testing.T) contractHost {
	t.Helper()
	return newContractHost(t, "beta", betaAddresses,
		&enginetest.Container{
			Name: "db", Image: "postgres:17", Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.2", "172.17.0.1", "", "")},
			Ports: map[string][]enginetest.Binding{"5432/tcp": {{HostIP: "0.0.0.0", HostPort: "15432"}}},
			Exec: tables("",
				"LISTEN 0.0.0.0:5432 0.0.0.0:0 1",
				"ESTABLISHED 172.17.0.2:5432 10.77.0.11:40100 2", // web of alpha, masqueraded
			),
		},
		&enginetest.Container{
			Name: "client", Image: "curl", Labels: compose("crawl", "client"), Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.3", "172.17.0.1", "", "")},
			Exec: tables("",
				"ESTABLISHED 172.17.0.3:40001 10.77.0.11:8080 1",
				"ESTABLISHED 172.17.0.3:40002 10.77.0.11:22 2",
				"TIME_WAIT 172.17.0.3:40003 10.77.0.11:8080 0",
			),
		},
		&enginetest.Container{
			Name: "mesh_worker.1.aaaaaaaaaaaaaaaaaaaaaaaaa", Image: "worker:3", NetworkMode: "mesh", Networks: map[string]enginetest.Network{"mesh": overlay("10.0.9.3")},
			Exec: tables("",
				"LISTEN 0.0.0.0:9000 0.0.0.0:0 1",
				"ESTABLISHED 10.0.9.3:9000 10.0.9.2:40104 2",
			),
		},
		&enginetest.Container{
			Name: "exporter", Image: "exporter:1", NetworkMode: "host", Labels: compose("monitoring", "exporter"),
			Exec: tables(listing("exporter", 1, 2),
				"LISTEN 0.0.0.0:9100 0.0.0.0:0 1",
				"ESTABLISHED 10.77.0.12:9100 10.77.0.11:40201 2",
			),
		},
	)
}

func gamma(t *testing.T) contractHost {
	t.Helper()
	return newContractHost(t, "gamma", gammaAddresses,
		&enginetest.Container{
			Name: "backup", Image: "backup:1", Networks: map[string]enginetest.Network{"bridge": bridge("bridge", "172.17.0.2", "172.17.0.1", "", "")},
			Exec: tables("", "ESTABLISHED 172.17.0.2:40001 10.99.0.1:2222 1"),
		},
	)
}

func compose(project, service string) map[string]string {
	return map[string]string{"com.docker.compose.project": project, "com.docker.compose.service": service}
}

func bridge(id, address, gateway, address6, gateway6 string) enginetest.Network {
	return enginetest.Network{NetworkID: id, IPAddress: address, Gateway: gateway, GlobalIPv6Address: address6, IPv6Gateway: gateway6}
}

func overlay(address string) enginetest.Network {
	return enginetest.Network{NetworkID: "overlay-mesh", IPAddress: address}
}

// ownAddresses are the files if_inet6 and fib_trie of a container: addresses of the engine, of a link and of a tunnel.
const ownAddresses = "fd00000a000000000000000000000003 02 40 00 80     eth0\nfe800000000000000042acfffe120003 02 40 20 80     eth0\n" +
	"Main:\n     |-- 10.8.0.3\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 172.18.0.3\n        /32 host LOCAL\n"

// tables answers cat with the two socket tables of rows, and sh with rest. A cat of four files prints rest after the tables.
func tables(rest string, rows ...string) func([]string) enginetest.Exec {
	return func(command []string) enginetest.Exec {
		switch {
		case command[0] != "cat":
			return enginetest.Exec{Stdout: rest}
		case strings.HasPrefix(rest, "self "): // the owners of a shared namespace
			return enginetest.Exec{Stdout: socketTable(false, rows) + socketTable(true, rows)}
		}
		return enginetest.Exec{Stdout: socketTable(false, rows) + socketTable(true, rows) + rest}
	}
}

// socketTable writes rows ("STATE local remote inode") as /proc/net/tcp or tcp6 has them.
func socketTable(v6 bool, rows []string) string {
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	if v6 {
		text = strings.Replace(text, "rem_address", "remote_address", 1)
	}
	states := map[string]int{"ESTABLISHED": 1, "SYN_RECV": 3, "TIME_WAIT": 6, "CLOSE_WAIT": 8, "LISTEN": 10}
	for _, row := range rows {
		fields := strings.Fields(row)
		if len(fields) == 1 && !v6 {
			text += row + "\n"
			continue
		}
		if len(fields) == 1 || netip.MustParseAddrPort(fields[1]).Addr().Is6() != v6 {
			continue
		}
		text += fmt.Sprintf("   0: %s %s %02X 00000000:00000000 00:00000000 00000000 0 0 %s 1 0 100 0 0 10 0\n",
			kernelEndpoint(fields[1]), kernelEndpoint(fields[2]), states[fields[0]], fields[3])
	}
	return text
}

// kernelEndpoint writes an address as words in the machine's byte order, and a port.
func kernelEndpoint(text string) string {
	at := netip.MustParseAddrPort(text)
	var hex strings.Builder
	for bytes := at.Addr().AsSlice(); len(bytes) > 0; bytes = bytes[4:] {
		fmt.Fprintf(&hex, "%08X", binary.NativeEndian.Uint32(bytes))
	}
	return fmt.Sprintf("%s:%04X", hex.String(), at.Port())
}

// listing is what the shell in a container prints of its one process, which holds the sockets.
func listing(container string, inodes ...int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "self 9\n/proc/1 0::/docker/%[1]s\n/proc/9 0::/docker/%[1]s\n/proc/1/fd:\ntotal 0\n", enginetest.ID(container))
	for _, inode := range inodes {
		fmt.Fprintf(&text, "lrwx------ 1 0 0 64 Jan  1 00:00 3 -> socket:[%d]\n", inode)
	}
	return text.String()
}
