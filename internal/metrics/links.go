package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/PabloL007/outpost/internal/graph"
)

// linkLabels are what a series of connections is told apart by.
type linkLabels struct{ client, server, port, via string }

func (l linkLabels) compare(other linkLabels) int {
	return cmp.Or(strings.Compare(l.client, other.client), strings.Compare(l.server, other.server),
		strings.Compare(l.port, other.port), strings.Compare(l.via, other.via))
}

// links collects from a map.
type links struct {
	latest func() graph.Graph
	most   int

	connections, omitted, forgotten                   *prometheus.Desc
	targetUp, targetAnswer, targetState, targetReason *prometheus.Desc
}

// newLinks returns a collector of the latest map, of at most so many series of connections.
func newLinks(latest func() graph.Graph, most int) *links {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &links{
		latest: latest, most: most,
		connections:  desc("outpost_link_connections", "Established connections between services, when they were looked at last.", "client", "server", "server_port", "via"),
		omitted:      desc("outpost_link_series_omitted", "Series of outpost_link_connections that are left out, because there would be more than OUTPOST_METRICS_MAX_LINKS."),
		forgotten:    desc("outpost_links_forgotten_total", "Past links that were dropped before their time to bound memory."),
		targetUp:     desc("outpost_target_up", "1 if the target answered the last time.", "target"),
		targetState:  desc("outpost_target_state", "1 for the state that the target is in.", "target", "state"),
		targetReason: desc("outpost_target_reason", "1, with what is wrong with the target in words, N for each figure; absent if nothing is.", "target", "reason"),
		targetAnswer: desc("outpost_target_last_answer_timestamp_seconds", "When the target answered last.", "target"),
	}
}

// Describe implements prometheus.Collector.
func (l *links) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{l.connections, l.omitted, l.forgotten, l.targetUp, l.targetState, l.targetReason, l.targetAnswer} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (l *links) Collect(figures chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		figures <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	latest := l.latest()
	series := seriesOf(latest)
	keys := make([]linkLabels, 0, len(series))
	for key := range series {
		keys = append(keys, key)
	}
	// The busiest are kept, and among equals always the same.
	slices.SortFunc(keys, func(a, b linkLabels) int { return cmp.Or(cmp.Compare(series[b], series[a]), a.compare(b)) })
	for _, key := range keys[:min(l.most, len(keys))] {
		gauge(l.connections, float64(series[key]), key.client, key.server, key.port, key.via)
	}
	gauge(l.omitted, float64(max(0, len(keys)-l.most)))
	figures <- prometheus.MustNewConstMetric(l.forgotten, prometheus.CounterValue, float64(latest.Forgotten))
	for _, target := range latest.Targets {
		name := strings.ToValidUTF8(target.Target, "?")
		gauge(l.targetUp, boolean(target.State == graph.StateOK), name)
		for _, state := range graph.States() {
			gauge(l.targetState, boolean(target.State == state), name, string(state))
		}
		if target.Reason != "" {
			gauge(l.targetReason, 1, name, strings.ToValidUTF8(graph.ReasonKey(target.Reason), "?"))
		}
		if !target.LastAnswer.IsZero() {
			gauge(l.targetAnswer, float64(target.LastAnswer.UnixMilli())/1000, name)
		}
	}
}

func boolean(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// seriesOf sums the connections between services.
func seriesOf(g graph.Graph) map[linkLabels]int {
	names := make(map[string]string, len(g.Nodes))
	for _, n := range g.Nodes {
		names[n.ID] = strings.ToValidUTF8(nameOf(n), "?")
	}
	series := make(map[linkLabels]int)
	for _, link := range g.Links {
		port := strconv.Itoa(int(link.Port))
		series[linkLabels{names[link.Client], names[link.Server], port, link.Via.String()}] += link.Connections
	}
	return series
}

// nameOf is what a node is called in a label: no address, and nothing that is another each time a container is made.
func nameOf(n graph.Node) string {
	switch {
	case n.Unnamed():
		return "external"
	case n.Kind == graph.KindAmbiguous:
		return "ambiguous"
	case n.Kind == graph.KindHost:
		return "host " + n.Name
	case n.Service != "":
		return strings.TrimPrefix(n.Project+"/"+n.Service, "/")
	}
	return n.Name
}
