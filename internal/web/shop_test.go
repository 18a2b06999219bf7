package web_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// service is a service of a stack: its name, image, port, number of containers, and the services that it calls.
type service struct {
	name, image string
	port        uint16
	containers  int
	calls       []string
}

// stacks are the Compose projects of a company. Each starts with the service that its host publishes.
var stacks = [][]service{
	{
		{"web", "nginx:1.27-alpine", 80, 1, []string{"storefront", "api"}},
		{"storefront", "acme/storefront:5.12.0", 3000, 1, []string{"api"}},
		{"api", "acme/shop-api:2.4.1", 8080, 2, []string{"db", "cache", "queue"}},
		{"worker", "acme/shop-worker:2.4.1", 9100, 1, []string{"db", "cache", "queue"}},
		{"db", "postgres:16-alpine", 5432, 1, nil},
		{"cache", "redis:7-alpine", 6379, 1, nil},
		{"queue", "rabbitmq:3.13-management", 5672, 1, nil},
	},
	{
		{"keycloak", "quay.io/keycloak/keycloak:25.0", 8080, 1, []string{"postgres"}},
		{"postgres", "postgres:15", 5432, 1, nil},
		{"ldap-sync", "ghcr.io/acme/ldap-sync:0.9.3", 9100, 1, []string{"keycloak", "postgres"}},
	},
	{
		{"gateway", "traefik:v3.1", 443, 1, []string{"imgproxy", "minio"}},
		{"transcoder", "acme/transcoder:1.4.0", 9100, 3, []string{"minio"}},
		{"minio", "minio/minio:RELEASE.2024-06-13T22-53-53Z", 9000, 1, nil},
		{"imgproxy", "darthsim/imgproxy:v3.24", 8080, 1, nil},
	},
	{
		{"gitea", "gitea/gitea:1.22", 3000, 1, []string{"mysql"}},
		{"runner", "gitea/act_runner:0.2.10", 9100, 2, []string{"gitea"}},
		{"mysql", "mysql:8.4", 3306, 1, nil},
	},
	{
		{"kafka", "bitnami/kafka:3.7", 9092, 2, []string{"zookeeper"}},
		{"zookeeper", "zookeeper:3.9", 2181, 1, nil},
		{"schema-registry", "confluentinc/cp-schema-registry:7.6.1", 8081, 1, []string{"kafka"}},
		{"connect", "confluentinc/cp-kafka-connect:7.6.1", 8083, 1, []string{"kafka"}},
		{"kafka-ui", "provectuslabs/kafka-ui:v0.7.2", 8080, 1, []string{"kafka"}},
	},
	{
		{"superset", "apache/superset:4.0.1", 8088, 1, []string{"clickhouse", "postgres"}},
		{"clickhouse", "clickhouse/clickhouse-server:24.6", 8123, 1, nil},
		{"airflow-scheduler", "apache/airflow:2.9.2", 9100, 1, []string{"clickhouse", "postgres"}},
		{"airflow-worker", "apache/airflow:2.9.2", 9100, 1, []string{"clickhouse", "postgres"}},
		{"airflow-web", "apache/airflow:2.9.2", 8080, 1, []string{"postgres"}},
		{"postgres", "postgres:15", 5432, 1, nil},
	},
}

var (
	stackNames = []string{"shop", "ident", "media", "git", "stream", "bi"}
	teams      = []string{"checkout", "catalog", "pricing", "inventory", "shipping", "returns", "loyalty", "fraud", "search", "content", "notify", "billing"}
)

// company is a fleet as it may be in production: the stacks of teams, monitoring that scrapes half of them, agents on each host, calls
// between stacks at published ports, and external clients and servers.
type company struct {
	random *rand.Rand
	nodes  []graph.Node
	links  []graph.Link
}

// newCompany returns the map of a company with about a number of containers on some hosts. It is the same at each call.
func newCompany(containers, hosts int) graph.Graph {
	c := &company{random: rand.New(rand.NewPCG(uint64(containers), uint64(hosts)))}
	monitoring := c.monitoring(hosts)
	var apis, gateways []graph.Node
	for i := 0; len(c.nodes) < containers; i++ {
		made := c.stack(i, hostName(i*7%hosts), containers)
		for _, node := range made {
			switch node.Service {
			case "api", "worker":
				apis = append(apis, node)
			case "web", "gateway":
				gateways = append(gateways, node)
			}
			if c.random.IntN(2) == 0 {
				scrape := c.link(monitoring, node, cmp.Or(servicePort(node), 9100), graph.ViaPublished)
				scrape.Live, scrape.Connections, scrape.Evidence = false, 0, graph.EvidenceClient
				c.links = append(c.links, scrape)
			}
		}
	}
	c.outside(apis, gateways, min(60, containers/10))
	var targets []graph.Target
	for i := range hosts {
		targets = append(targets, graph.Target{Target: hostName(i) + ":9057", Host: hostName(i), State: graph.StateOK, Format: "snapshot", LastAnswer: time.Now().UTC()})
	}
	return newMap(c.nodes, c.links, targets...)
}

func hostName(i int) string {
	return fmt.Sprintf("%s-docker-%02d", []string{"fra", "ams", "waw"}[i%3], 1+i/3)
}

// add adds a container that listens on a port, which its host publishes as another one unless that is 0.
func (c *company) add(host, project, name, service, image string, port, at uint16) graph.Node {
	i := len(c.nodes)
	node := graph.Node{
		ID: fmt.Sprintf("container/%s/%s", host, name), Kind: graph.KindContainer, Host: host, Name: name, Container: fmt.Sprintf("%064x", i+1), Image: image,
		Project: project, Service: service, Details: &graph.Details{
			Method: collect.Sockdiag, Status: snapshotv1.StatusOK, Unused: []snapshotv1.UnusedMethod{},
			Networks: []snapshotv1.Network{{
				ID: "n", Name: cmp.Or(project, "bridge") + "_default", Addresses: []netip.Addr{netip.AddrFrom4([4]byte{172, 18, byte(i >> 8), byte(i)})}, Gateways: []netip.Addr{},
			}},
			Listening: []snapshotv1.Listener{{Endpoint: snapshotv1.Endpoint{Address: "::", Port: port}, Published: []snapshotv1.Endpoint{}}},
		},
	}
	if at != 0 {
		node.Details.Listening[0].Published = []snapshotv1.Endpoint{{Address: "0.0.0.0", Port: at}}
	}
	c.nodes = append(c.nodes, node)
	return node
}

func servicePort(node graph.Node) uint16 { return node.Details.Listening[0].Port }

func (c *company) link(client, server graph.Node, port uint16, via graph.Via) graph.Link {
	l := link(client, server, port, 1+c.random.IntN(6))
	l.Via = via
	return l
}

func (c *company) connect(client, server graph.Node, via graph.Via) {
	c.links = append(c.links, c.link(client, server, servicePort(server), via))
}

// monitoring adds what watches the hosts, and returns what scrapes.
func (c *company) monitoring(hosts int) graph.Node {
	first := hostName(0)
	prometheus := c.add(first, "monitoring", "monitoring-prometheus-1", "prometheus", "prom/prometheus:v2.53.0", 9090, 9090)
	grafana := c.add(first, "monitoring", "monitoring-grafana-1", "grafana", "grafana/grafana:11.1.0", 3000, 3000)
	loki := c.add(first, "monitoring", "monitoring-loki-1", "loki", "grafana/loki:3.0.0", 3100, 3100)
	c.connect(grafana, prometheus, graph.ViaDirect)
	c.connect(grafana, loki, graph.ViaDirect)
	for i := range hosts {
		exporter := c.add(hostName(i), "agents", "agents-node-exporter-1", "node-exporter", "prom/node-exporter:v1.8.1", 9100, 0)
		promtail := c.add(hostName(i), "agents", "agents-promtail-1", "promtail", "grafana/promtail:3.0.0", 9080, 0)
		c.add(hostName(i), "", "outpost", "", "outpost:latest", 9057, 9057)
		c.connect(prometheus, exporter, graph.ViaHost)
		c.connect(promtail, loki, graph.ViaPublished)
	}
	return prometheus
}

// stack adds the stack of a team, as far as the number of containers allows, and returns its containers.
func (c *company) stack(i int, host string, limit int) []graph.Node {
	team, kind := teams[i%len(teams)], i%len(stacks)
	project := team + "-" + stackNames[kind]
	if round := i / len(teams); round > 0 {
		project += fmt.Sprint("-", 1+round)
	}
	var all []graph.Node
	made := make(map[string][]graph.Node)
	for n, s := range stacks[kind] {
		for replica := range s.containers {
			if len(c.nodes) >= limit {
				break
			}
			var at uint16
			if n == 0 {
				at = uint16(8000 + i + replica)
			}
			node := c.add(host, project, fmt.Sprintf("%s-%s-%d", project, s.name, replica+1), s.name, s.image, s.port, at)
			made[s.name] = append(made[s.name], node)
			all = append(all, node)
		}
	}
	for _, s := range stacks[kind] {
		for _, client := range made[s.name] {
			for _, name := range s.calls {
				for _, server := range made[name] {
					c.connect(client, server, graph.ViaDirect)
				}
			}
		}
	}
	return all
}

// outside adds calls between stacks, external servers and external clients.
func (c *company) outside(apis, gateways []graph.Node, clients int) {
	bank, mail := graph.Node{ID: "external/stripe", Kind: graph.KindExternal, Name: "stripe"}, graph.Node{ID: "external/mail-relay", Kind: graph.KindExternal, Name: "mail-relay"}
	for i, api := range apis {
		if i > 0 && i%3 == 0 {
			c.connect(api, gateways[c.random.IntN(len(gateways))], graph.ViaPublished)
		}
		if i%9 == 0 {
			c.links = append(c.links, c.link(api, bank, 443, graph.ViaDirect))
		}
		if i%13 == 0 {
			c.links = append(c.links, c.link(api, mail, 587, graph.ViaDirect))
		}
	}
	for i := range clients {
		client := external(fmt.Sprintf("203.0.113.%d", i+1))
		c.nodes = append(c.nodes, client)
		c.connect(client, gateways[i%len(gateways)], graph.ViaPublished)
	}
	if len(apis) > 0 {
		c.nodes = append(c.nodes, bank, mail)
	}
	c.links = slices.DeleteFunc(c.links, func(l graph.Link) bool { return l.Client == l.Server })
}
