package correlate

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// newBenchHost returns the snapshot of host h. It has 50 containers with 20 connection ends each: ten within the host, six with
// containers of other hosts and four with external addresses. Half of each are outbound, each to another server.
func newBenchHost(h, hosts int) snapshotv1.Snapshot {
	const containers = 50
	lan := func(host int) string { return netip.AddrFrom4([4]byte{10, 77, byte(host >> 8), byte(host)}).String() }
	bridge := func(container int) string { return netip.AddrFrom4([4]byte{172, 17, 0, byte(container + 2)}).String() }
	at := func(addr string, port int) snapshotv1.Endpoint {
		return snapshotv1.Endpoint{Address: addr, Port: uint16(port)}
	}
	d := snapshotv1.Snapshot{Version: 1, Host: snapshotv1.Host{
		ID: fmt.Sprint("engine", h), Name: fmt.Sprint("host", h), AllAddresses: true,
		Addresses: []netip.Addr{netip.MustParseAddr(lan(h)), netip.MustParseAddr("172.17.0.1")},
	}}
	for c := range containers {
		doc := snapshotv1.Container{
			ID: fmt.Sprintf("%060d%04d", h, c), Name: fmt.Sprint("/web-", c), Image: "web:1", Project: "shop", Service: "web", NetworkMode: "default",
			Networks:  []snapshotv1.Network{{ID: fmt.Sprint("net", h), Addresses: []netip.Addr{netip.MustParseAddr(bridge(c))}, Gateways: []netip.Addr{netip.MustParseAddr("172.17.0.1")}}},
			Listening: []snapshotv1.Listener{{Endpoint: at("0.0.0.0", 8080), Published: []snapshotv1.Endpoint{at("0.0.0.0", 20000+c)}}},
		}
		row := func(direction string, local, remote snapshotv1.Endpoint) {
			doc.Connections = append(doc.Connections, snapshotv1.Connection{Direction: direction, Local: local, Remote: remote, State: "ESTABLISHED"})
		}
		own := bridge(c)
		for i := range 5 {
			to, from := (c+i+1)%containers, (c-i-1+containers)%containers
			row("out", at(own, 40000+i), at(bridge(to), 8080))
			row("in", at(own, 8080), at(bridge(from), 40000+i))
		}
		for i := range 3 {
			to, from := (h+i*7+1)%hosts, (h-i*7-1+7*hosts*3)%hosts
			port := 41000 + c*3 + i
			row("out", at(own, port), at(lan(to), 20000+c))
			row("in", at(own, 8080), at(lan(from), port))
		}
		for i := range 2 {
			row("out", at(own, 50000+i), at(fmt.Sprintf("192.0.2.%d", c), 443))
			row("in", at(own, 8080), at(fmt.Sprintf("198.51.100.%d", (c+i)%250), 50000+i))
		}
		d.Containers = append(d.Containers, doc)
	}
	return d
}

func newBenchPolledHost(i int, d snapshotv1.Snapshot) PolledHost {
	return PolledHost{Target: fmt.Sprint(i), Host: NewHost(d, netip.Addr{}, nil, noon), State: graph.StateOK, LastAnswer: noon}
}

// BenchmarkFleet measures the two phases for a fleet of hosts. The cross-host phase alone runs when no host has changed. The
// memory is the process's: all hosts, all links, and garbage that is not collected yet.
func BenchmarkFleet(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, hosts := range []int{10, 30, 100, 300, 1000} {
		report := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*hosts*1000), "ns/socket")
		}
		b.Run(fmt.Sprintf("crosshost/hosts=%d", hosts), func(b *testing.B) {
			polled := make([]PolledHost, hosts)
			for i := range polled {
				polled[i] = newBenchPolledHost(i, newBenchHost(i, hosts))
			}
			runtime.GC()
			highest := uint64(0)
			for b.Loop() {
				Build(polled, nil)
				b.StopTimer()
				highest = max(highest, heldMemory())
				b.StartTimer()
			}
			report(b)
			b.ReportMetric(float64(highest)/(1<<20), "MiB")
		})
		b.Run(fmt.Sprintf("local/hosts=%d", hosts), func(b *testing.B) {
			documents := make([]snapshotv1.Snapshot, min(hosts, 30)) // used in turn, to save memory
			for i := range documents {
				documents[i] = newBenchHost(i, hosts)
			}
			polled := make([]PolledHost, hosts)
			for b.Loop() {
				for i := range polled {
					polled[i] = newBenchPolledHost(i, documents[i%len(documents)])
				}
			}
			report(b)
		})
	}
}

// heldMemory returns the memory that the process holds from the system, in bytes.
func heldMemory() uint64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return memory.Sys - memory.HeapReleased
}
