package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/socket"
)

// linkCounters are the descriptions of the counters of links.
type linkCounters struct{ opened, failed, bytes, retransmits *prometheus.Desc }

func newLinkCounters() linkCounters {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, slices.Concat(linkLabelNames, labels), nil)
	}
	return linkCounters{
		opened:      desc("outpost_link_connections_total", "Connections opened between services, also the shortest."),
		failed:      desc("outpost_link_failed_total", "Failed dials between services.", "reason"),
		bytes:       desc("outpost_link_bytes_total", "Bytes that the client has sent or received over connections that ended.", "direction"),
		retransmits: desc("outpost_link_retransmits_total", "Segments that were sent again between services."),
	}
}

// all returns all descriptions.
func (c linkCounters) all() []*prometheus.Desc {
	return []*prometheus.Desc{c.opened, c.failed, c.bytes, c.retransmits}
}

// collect sends the counters of one series; nothing if its links are not counted.
func (c linkCounters) collect(metrics chan<- prometheus.Metric, key linkLabels, counters *graph.Counters) {
	if counters == nil {
		return
	}
	send := func(desc *prometheus.Desc, value uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), slices.Concat(key.values(), labels)...)
	}
	send(c.opened, counters.Opened)
	if key.protocol != socket.TCP.String() { // the kernel reports nothing more
		return
	}
	send(c.failed, counters.Refused, "refused")
	send(c.failed, counters.Unanswered(), "unanswered")
	send(c.bytes, counters.BytesSent, "sent")
	send(c.bytes, counters.BytesReceived, "received")
	send(c.retransmits, counters.Retransmits)
}
