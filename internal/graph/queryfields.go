package graph

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/PabloL007/outpost/internal/socket"
)

// nodeMatcher returns the predicate of a field of nodes; of all texts of a node if the field is empty.
func nodeMatcher(field, value string) (func(Node) bool, error) {
	p := newPattern(value)
	switch field {
	case "name":
		return func(n Node) bool { return p.matches(n.Name) }, nil
	case "project":
		return func(n Node) bool { return p.matches(n.Project) }, nil
	case "service":
		return func(n Node) bool { return p.matches(n.Service) }, nil
	case "host":
		return func(n Node) bool { return p.matches(n.Host) }, nil
	case "image":
		return imageMatcher(value), nil
	case "kind":
		kinds, err := choose(p, KindContainer, KindHost, KindExternal, KindAmbiguous, KindUnknown)
		return func(n Node) bool { return slices.Contains(kinds, n.Kind) }, err
	case "address":
		return addressMatcher(value)
	case "is":
		properties, err := choose(p, "monitoring", "outpost", "stale", "incomplete", "past", "published")
		return func(n Node) bool { return slices.ContainsFunc(properties, n.is) }, err
	}
	return anyTextMatcher(p), nil
}

// linkMatcher returns the predicate of a field of links.
func linkMatcher(field, value string) (func(Link) bool, error) {
	p := newPattern(value)
	switch field {
	case "port":
		first, last, err := parsePorts(value)
		return func(l Link) bool { return first <= l.Port && l.Port <= last }, err
	case "via":
		vias, err := choose(p, ViaDirect.String(), ViaPublished.String(), ViaHost.String(), ViaLoopback.String(), ViaResolver.String())
		return func(l Link) bool { return slices.Contains(vias, l.Via.String()) }, err
	case "protocol":
		protocols, err := choose(p, socket.TCP.String(), socket.UDP.String())
		return func(l Link) bool { return slices.Contains(protocols, l.Protocol.String()) }, err
	case "state":
		states, err := choose(p, "live", "past", "idle", "failed")
		return func(l Link) bool { return slices.ContainsFunc(states, l.isInState) }, err
	}
	seen, err := choose(p, EvidenceBoth.String(), EvidenceClient.String(), EvidenceServer.String())
	return func(l Link) bool { return slices.Contains(seen, l.Evidence.String()) }, err
}

// choose returns the accepted values that match a pattern. It is an error if none does.
func choose[T ~string](p pattern, accepted ...T) (chosen []T, err error) {
	names := make([]string, len(accepted))
	for i, value := range accepted {
		names[i] = string(value)
		if p.matches(string(value)) {
			chosen = append(chosen, value)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("want one of %s", strings.Join(names, ", "))
	}
	return chosen, nil
}

// parsePorts parses a port or a range of ports.
func parsePorts(text string) (first, last uint16, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, last = parsePort(from), parsePort(to)
	if first == 0 || last < first {
		return 0, 0, errors.New("want a port from 1 to 65535, or a range such as 8000-8099")
	}
	return first, last, nil
}

// parsePort returns 0 if the text is not a port.
func parsePort(text string) uint16 {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || len(text) > len("65535") {
		return 0
	}
	return uint16(port)
}

// anyTextMatcher matches nodes with a text that the pattern matches. A pattern without * matches each text that contains it, and the IDs
// of containers that begin with it.
func anyTextMatcher(p pattern) func(Node) bool {
	return func(n Node) bool {
		texts := append(n.addresses(), n.Name, n.Project, n.Service, n.Image, n.Host)
		if len(p) > 1 {
			return slices.ContainsFunc(append(texts, n.Container), p.matches)
		}
		return strings.HasPrefix(fold(n.Container), p[0]) || slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(fold(text), p[0]) })
	}
}

// addresses returns the addresses of a container, or the name of another end.
func (n Node) addresses() (addresses []string) {
	if n.Kind == KindExternal || n.Kind == KindAmbiguous {
		return []string{n.Name}
	}
	if n.Details == nil {
		return nil
	}
	for _, network := range n.Details.Networks {
		for _, addr := range network.Addresses {
			if addr.IsValid() {
				addresses = append(addresses, addr.String())
			}
		}
	}
	return addresses
}

// addressMatcher matches nodes with an address in a network, or with an address or name that a pattern matches.
func addressMatcher(value string) (func(Node) bool, error) {
	if prefix, err := parsePrefix(value); err == nil {
		return func(n Node) bool {
			return slices.ContainsFunc(n.addresses(), func(text string) bool {
				addr, err := netip.ParseAddr(text)
				return err == nil && prefix.Contains(addr.Unmap())
			})
		}, nil
	}
	text, _, hasLength := strings.Cut(value, "/")
	if addr, err := netip.ParseAddr(text); err == nil && hasLength && addr.Zone() == "" {
		return nil, errors.New("want an address, a network such as 172.18.0.0/16, or a name")
	}
	p := newPattern(value)
	return func(n Node) bool { return slices.ContainsFunc(n.addresses(), p.matches) }, nil
}

// imageMatcher matches images in full, without a digest, or without tag and digest. The registry and path of Docker's official images may
// be left out.
func imageMatcher(value string) func(Node) bool {
	if !strings.Contains(value, "*") {
		value = shortImage(value)
	}
	p := newPattern(value)
	return func(n Node) bool {
		short := shortImage(n.Image)
		tagged, _, _ := strings.Cut(short, "@")
		return slices.ContainsFunc([]string{n.Image, short, tagged, repository(n.Image)}, p.matches)
	}
}

// shortImage folds an image and removes the registry and path of Docker's official images.
func shortImage(image string) string {
	return strings.TrimPrefix(strings.TrimPrefix(fold(image), "docker.io/"), "library/")
}

// repository returns the short image without tag and digest.
func repository(image string) string {
	name, _, _ := strings.Cut(shortImage(image), "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// monitoringImages are the ends of the repositories of images that monitor others. The page has the same list.
var monitoringImages = strings.Fields(`
	/prometheus /alertmanager /pushgateway /grafana /grafana-oss /grafana-enterprise /grafana/agent /alloy /loki /promtail /tempo /mimir /thanos
	-exporter _exporter /cadvisor /telegraf /netdata /victoria-metrics /vmagent /vmalert /opentelemetry-collector /opentelemetry-collector-contrib
	/otelcol /datadog/agent /datadoghq/agent /docker-dd-agent /newrelic/infrastructure /zabbix-agent /zabbix-agent2 /metricbeat /filebeat
	/uptime-kuma /gatus /beszel /beszel-agent /dozzle /glances /check-mk-raw`)

// is reports whether a node has a property of the field "is".
func (n Node) is(property string) bool {
	switch property {
	case "monitoring":
		isEndOf := func(end string) bool { return strings.HasSuffix("/"+repository(n.Image), end) }
		return fold(n.Project) == "monitoring" || fold(n.Service) == "monitoring" || slices.ContainsFunc(monitoringImages, isEndOf)
	case "outpost":
		return strings.HasSuffix("/"+repository(n.Image), "/outpost")
	case "stale":
		return n.Stale
	case "incomplete":
		return n.Reason != ""
	case "past":
		return n.Past
	case "published":
		return n.hasPublishedPort()
	}
	return false
}

// hasPublishedPort reports whether the container has a listener that its host publishes.
func (n Node) hasPublishedPort() bool {
	if n.Details == nil {
		return false
	}
	for _, l := range n.Details.Listening {
		if len(l.Published) > 0 {
			return true
		}
	}
	return false
}
