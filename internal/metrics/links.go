package metrics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/PabloL007/outpost/internal/graph"
)

// linkLabels identify a series of outpost_link_connections, and the counters of the same links.
type linkLabels struct{ client, server, port, protocol, via string }

// linkLabelNames are the names of these labels.
var linkLabelNames = []string{"client", "server", "server_port", "protocol", "via"}

func (l linkLabels) values() []string { return []string{l.client, l.server, l.port, l.protocol, l.via} }

func (l linkLabels) compare(other linkLabels) int {
	return cmp.Or(strings.Compare(l.client, other.client), strings.Compare(l.server, other.server),
		strings.Compare(l.port, other.port), strings.Compare(l.protocol, other.protocol), strings.Compare(l.via, other.via))
}

// linkSeries is what the links of one series have together.
type linkSeries struct {
	connections int
	counters    *graph.Counters // nil if none of them is counted
}

// mapCollector collects the metrics of a map.
type mapCollector struct {
	latest    func() graph.Graph
	maxSeries int

	connections, omitted, forgotten                   *prometheus.Desc
	targetUp, targetAnswer, targetState, targetReason *prometheus.Desc

	counters linkCounters
}

// newMapCollector returns a collector of the latest map, with at most maxSeries series of link connections.
func newMapCollector(latest func() graph.Graph, maxSeries int) *mapCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &mapCollector{
		latest: latest, maxSeries: maxSeries, counters: newLinkCounters(),
		connections:  desc("outpost_link_connections", "Established connections between services at the last collection.", linkLabelNames...),
		omitted:      desc("outpost_link_series_omitted", "Series of outpost_link_connections that are omitted, because their number exceeds OUTPOST_METRICS_MAX_LINKS."),
		forgotten:    desc("outpost_links_forgotten_total", "Past links that were dropped early to bound memory."),
		targetUp:     desc("outpost_target_up", "1 if the target answered the last poll and is no duplicate.", "target"),
		targetState:  desc("outpost_target_state", "1 for the current state of the target.", "target", "state"),
		targetReason: desc("outpost_target_reason", "1, labelled by the target's problem, with N in place of numbers; absent without a problem.", "target", "reason"),
		targetAnswer: desc("outpost_target_last_answer_timestamp_seconds", "Time of the target's last answer.", "target"),
	}
}

// Describe implements prometheus.Collector.
func (c *mapCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range append(c.counters.all(), c.connections, c.omitted, c.forgotten, c.targetUp, c.targetState, c.targetReason, c.targetAnswer) {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *mapCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	latest := c.latest()
	series := sumLinks(latest)
	keys := make([]linkLabels, 0, len(series))
	for key := range series {
		keys = append(keys, key)
	}
	// Keep the busiest series; the order of labels makes the choice among equals deterministic.
	slices.SortFunc(keys, func(a, b linkLabels) int {
		return cmp.Or(cmp.Compare(series[b].connections, series[a].connections), a.compare(b))
	})
	for _, key := range keys[:min(c.maxSeries, len(keys))] {
		gauge(c.connections, float64(series[key].connections), key.values()...)
		c.counters.collect(metrics, key, series[key].counters)
	}
	gauge(c.omitted, float64(max(0, len(keys)-c.maxSeries)))
	metrics <- prometheus.MustNewConstMetric(c.forgotten, prometheus.CounterValue, float64(latest.Forgotten))
	for _, target := range latest.Targets {
		name := strings.ToValidUTF8(target.Target, "?")
		gauge(c.targetUp, toFloat(target.State == graph.StateOK), name)
		for _, state := range graph.States() {
			gauge(c.targetState, toFloat(target.State == state), name, string(state))
		}
		if target.Reason != "" {
			gauge(c.targetReason, 1, name, strings.ToValidUTF8(graph.ReasonKey(target.Reason), "?"))
		}
		if !target.LastAnswer.IsZero() {
			gauge(c.targetAnswer, float64(target.LastAnswer.UnixMilli())/1000, name)
		}
	}
}

func toFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// sumLinks returns the connections and counters of each series. Links to the resolver of the engine have none, as in the map.
func sumLinks(g graph.Graph) map[linkLabels]linkSeries {
	names := make(map[string]string, len(g.Nodes))
	for _, n := range g.Nodes {
		names[n.ID] = strings.ToValidUTF8(nodeLabel(n), "?")
	}
	series := make(map[linkLabels]linkSeries)
	for _, link := range g.Links {
		if link.Unanswered && link.Counters == nil || link.Via == graph.ViaResolver {
			continue
		}
		port := strconv.Itoa(int(link.Port))
		key := linkLabels{names[link.Client], names[link.Server], port, link.Protocol.String(), link.Via.String()}
		sum := series[key]
		sum.connections += link.Connections
		sum.counters = sum.counters.With(link.Counters)
		series[key] = sum
	}
	return series
}

// nodeLabel returns a node's name in a label. It contains no address, and nothing that changes when a container is
// created again.
func nodeLabel(n graph.Node) string {
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
