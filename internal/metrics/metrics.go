// Package metrics counts what a daemon or a mapper does, for Prometheus. No label grows with connections.
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

// Metrics is told what happens. It may be used by several goroutines at once.
type Metrics struct {
	registry *prometheus.Registry
	mu       sync.Mutex // a scrape sees all of a collection or nothing of it

	duration   prometheus.Histogram
	failed     prometheus.Counter
	coalesced  prometheus.Counter
	containers *prometheus.GaugeVec
	sockets    *prometheus.GaugeVec
	problems   *prometheus.CounterVec
	calls      *prometheus.CounterVec
}

// New returns metrics of an Outpost of that version. kinds are all kinds of calls that Called will be told.
func New(version string, kinds []string) *Metrics {
	m := &Metrics{
		registry: registryOf(version),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "outpost_collection_duration_seconds", Help: "Time that reading all containers took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outpost_collection_failures_total", Help: "Collections for which the engine could not be asked.",
		}),
		coalesced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "outpost_coalesced_requests_total", Help: "Requests that shared a collection with an earlier one.",
		}),
		containers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "outpost_containers", Help: "Running containers of the last collection, by how they were read and how much of them.",
		}, []string{"method", "status"}),
		sockets: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "outpost_sockets", Help: "TCP sockets of containers in the last collection, by state.",
		}, []string{"state"}),
		problems: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outpost_read_failures_total", Help: "Containers of which something could not be read, each time, by reason.",
		}, []string{"reason"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outpost_engine_calls_total", Help: "Calls to the container engine, by kind.",
		}, []string{"kind"}),
	}
	m.registry.MustRegister(m.duration, m.failed, m.coalesced, m.containers, m.sockets, m.problems, m.calls)
	for _, kind := range kinds {
		m.calls.WithLabelValues(kind)
	}
	return m
}

// registryOf returns a registry with what every Outpost of that version has.
func registryOf(version string) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "outpost_build_info", Help: "1, with what Outpost was built from.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Map adds the links of a map, in at most so many series.
func (m *Metrics) RegisterMap(latest func() graph.Graph, most int) {
	m.registry.MustRegister(newLinks(latest, most))
}

// OfMapper serves the metrics of a mapper of that version.
func NewMapperHandler(version string, latest func() graph.Graph, most int) http.Handler {
	registry := registryOf(version)
	registry.MustRegister(newLinks(latest, most))
	return handlerOf(registry)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	whole := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.registry.Gather()
	})
	return handlerOf(whole)
}

func handlerOf(gatherer prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{DisableCompression: true}) // the router compresses
}

// Called counts a call to the engine.
func (m *Metrics) EngineCalled(kind string) { m.calls.WithLabelValues(kind).Inc() }

// Failed counts a collection that the engine did not permit.
func (m *Metrics) Failed() { m.failed.Inc() }

// Coalesced counts a request that shared a collection.
func (m *Metrics) Coalesced() { m.coalesced.Inc() }

// Collected takes note of a collection.
func (m *Metrics) Collected(taken snapshot.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.duration.Observe(taken.Duration.Seconds())
	states := map[socket.State]int{socket.Listen: 0, socket.Established: 0, socket.TimeWait: 0}
	type key struct {
		method collect.Method
		status string
	}
	containers := make(map[key]int)
	for _, c := range taken.Containers {
		containers[key{c.Method, c.Status()}]++
		states[socket.Listen] += len(c.Listeners)
		for _, connection := range c.Connections {
			states[connection.State]++
		}
		for _, problem := range c.Problems {
			m.problems.WithLabelValues(problem.Reason).Inc()
		}
	}
	m.containers.Reset()
	for k, n := range containers {
		m.containers.WithLabelValues(string(k.method), k.status).Set(float64(n))
	}
	for state, n := range states {
		m.sockets.WithLabelValues(state.String()).Set(float64(n))
	}
}
