package e2e

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"
)

// countingContainers and ordersPerContainer make 10,000 connections.
const countingContainers, ordersPerContainer = 50, 200

// BenchmarkCounting makes 10,000 short connections among 50 containers, which a mapper counts at its usual interval. It reports how many are
// missing on the map, how many bytes, how often the kernel dropped events, and the memory of the daemon.
func BenchmarkCounting(b *testing.B) {
	l := newLab(b)
	addresses := make([]string, countingContainers)
	for i := range addresses {
		l.peer(fmt.Sprint(i), nil, "reply:tcp4:0.0.0.0:80")
		addresses[i] = l.address(fmt.Sprint(i))
	}
	for b.Loop() {
		o := start(b)
		mapper := startMapper(b, []string{o.target()}, "OUTPOST_INTERVAL=10s")
		eventually(b, func() bool { return o.countLogLines("Counting connections") > 0 })
		l.orderAll(b, addresses)
		l.reportCounts(b, o, mapper)
		b.ReportMetric(o.residentMiB(), "MiB-resident")
		b.ReportMetric(0, "ns/op")
		mapper.end()
		o.end()
	}
}

// orderAll makes each container order from the next one.
func (l *testLab) orderAll(b *testing.B, addresses []string) {
	b.Helper()
	var clients sync.WaitGroup
	for i := range addresses {
		order := fmt.Sprintf("order:%d:%s:80", ordersPerContainer, addresses[(i+1)%len(addresses)])
		clients.Go(func() {
			if _, err := l.Docker(b.Context(), "exec", l.Name(fmt.Sprint(i)), "peer", order, "leave"); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
}

// reportCounts waits until the mapper has polled all, and compares the map with what the clients did.
func (l *testLab) reportCounts(b *testing.B, o, mapper *outpost) {
	b.Helper()
	const all = countingContainers * ordersPerContainer
	var opened, sent, received uint64
	for limit := time.Now().Add(30 * time.Second); (opened < all || received < 300*all) && time.Now().Before(limit); time.Sleep(time.Second) {
		opened, sent, received = 0, 0, 0
		for _, link := range mapper.graph("").Links {
			if link.Counters != nil && link.Port == 80 {
				opened += link.Counters.Opened
				sent += link.Counters.BytesSent
				received += link.Counters.BytesReceived
			}
		}
	}
	var s struct {
		Host struct {
			Counting struct{ Losses, Unattributed uint64 }
		}
	}
	if err := json.Unmarshal([]byte(o.get("/v1/snapshot").body), &s); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(all)-float64(opened), "missing")
	b.ReportMetric(float64(400*all)-float64(sent+received), "bytes-missing")
	b.ReportMetric(float64(s.Host.Counting.Losses), "losses")
	b.ReportMetric(float64(s.Host.Counting.Unattributed), "unattributed")
}
