// Package metrics exposes Prometheus metrics of a daemon or a mapper. No label's cardinality grows with connections.
package metrics

import (
	"net/http"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// Metrics records the events of a daemon. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	mu       sync.Mutex // a scrape must not see half of a collection

	duration   prometheus.Histogram
	failed     prometheus.Counter
	coalesced  prometheus.Counter
	containers *prometheus.GaugeVec
	sockets    *prometheus.GaugeVec
	problems   *prometheus.CounterVec
	calls      *prometheus.CounterVec
	differed   prometheus.Counter
	counting   snapshot.Counting // of the last collection; guarded by mu
}

// New returns the metrics of an Outpost with the given version. callKinds are all kinds that EngineCalled will receive.
func New(version string, callKinds []string) *Metrics {
	m := &Metrics{
		registry: newRegistry(version),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "outpost_collection_duration_seconds", Help: "Duration of a collection of all containers.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outpost_collection_failures_total", Help: "Collections that failed because the engine could not be queried.",
		}),
		coalesced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outpost_coalesced_requests_total", Help: "Requests that shared a collection with an earlier request.",
		}),
		containers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "outpost_containers", Help: "Running containers in the last collection, by method and completeness.",
		}, []string{"method", "status"}),
		sockets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "outpost_sockets", Help: "Sockets of containers in the last collection, by protocol and state. A UDP socket listens, or is established if it is connected to a peer.",
		}, []string{"protocol", "state"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outpost_read_failures_total", Help: "Failures to read something of a container, by reason.",
		}, []string{"reason"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outpost_engine_calls_total", Help: "Calls to the container engine, by kind.",
		}, []string{"kind"}),
		differed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outpost_unnoticed_changes_total", Help: "How often sockets of a container had changed without a sign in the kernel's counters and events.",
		}),
	}
	losses := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "outpost_event_losses_total", Help: "How often the kernel dropped events of ended sockets, because Outpost read them too slowly.",
	}, func() float64 { return float64(m.counting.Losses) }) // a scrape holds mu
	unattributed := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "outpost_unattributed_ends_total", Help: "Ended sockets that are in no count, because their owner is not known.",
	}, func() float64 { return float64(m.counting.Unattributed) })
	m.registry.MustRegister(m.duration, m.failed, m.coalesced, m.containers, m.sockets, m.problems, m.calls, m.differed, losses, unattributed)
	for _, kind := range callKinds {
		m.calls.WithLabelValues(kind)
	}
	return m
}

// newRegistry returns a registry with the metrics common to daemons and mappers.
func newRegistry(version string) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "outpost_build_info", Help: "1, labelled by Outpost's version and the Go version of its build.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// RegisterMap adds the metrics of a map, with at most maxSeries series of link connections.
func (m *Metrics) RegisterMap(latest func() graph.Graph, maxSeries int) {
	m.registry.MustRegister(newMapCollector(latest, maxSeries))
}

// NewMapperHandler returns a handler that serves the metrics of a mapper with the given version. It serves at most
// maxSeries series of link connections.
func NewMapperHandler(version string, latest func() graph.Graph, maxSeries int) http.Handler {
	registry := newRegistry(version)
	registry.MustRegister(newMapCollector(latest, maxSeries))
	return newHandler(registry)
}

// Handler returns a handler that serves the metrics.
func (m *Metrics) Handler() http.Handler {
	atomicGather := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.registry.Gather()
	})
	return newHandler(atomicGather)
}

func newHandler(gatherer prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{DisableCompression: true}) // the HTTP router compresses
}

// EngineCalled counts a call to the engine.
func (m *Metrics) EngineCalled(kind string) { m.calls.WithLabelValues(kind).Inc() }

// Differed counts sockets that have changed without a sign in the kernel's counters and events.
func (m *Metrics) Differed() { m.differed.Inc() }

// Failed counts a collection that failed because the engine could not be queried.
func (m *Metrics) Failed() { m.failed.Inc() }

// Coalesced counts a request that shared another request's collection.
func (m *Metrics) Coalesced() { m.coalesced.Inc() }

// Collected records a finished collection.
func (m *Metrics) Collected(s snapshot.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = s.Host.Counting
	m.duration.Observe(s.Duration.Seconds())
	type kind struct {
		protocol socket.Protocol
		state    socket.State
	}
	sockets := map[kind]int{{state: socket.Listen}: 0, {state: socket.Established}: 0, {state: socket.TimeWait}: 0, {socket.UDP, socket.Listen}: 0, {socket.UDP, socket.Established}: 0}
	type key struct {
		method collect.Method
		status string
	}
	containers := make(map[key]int)
	for _, c := range s.Containers {
		containers[key{c.Method, c.Status()}]++
		for _, listener := range c.Listeners {
			sockets[kind{listener.Protocol, socket.Listen}]++
		}
		for _, connection := range c.Connections {
			sockets[kind{connection.Protocol, connection.State}]++
		}
		for _, problem := range c.Problems {
			m.problems.WithLabelValues(problem.Reason).Inc()
		}
	}
	m.containers.Reset()
	for k, n := range containers {
		m.containers.WithLabelValues(string(k.method), k.status).Set(float64(n))
	}
	for k, n := range sockets {
		m.sockets.WithLabelValues(k.protocol.String(), k.state.String()).Set(float64(n))
	}
}
