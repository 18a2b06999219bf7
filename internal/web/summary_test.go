package web_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// TestStoresAreKnownByTheirImages has images of stores, and of programs around them.
func TestStoresAreKnownByTheirImages(t *testing.T) {
	t.Parallel()
	products := map[string]string{
		"postgres:16-alpine": "PostgreSQL", "registry.example:5000/bitnami/postgresql-repmgr:16": "PostgreSQL", "timescale/timescaledb-ha:pg16": "PostgreSQL",
		"mysql/mysql-server:8.0": "MySQL", "bitnami/mariadb-galera": "MariaDB", "percona:8": "MySQL", "redis/redis-stack-server:7": "Redis", "valkey/valkey@sha256:00": "Valkey",
		"confluentinc/cp-kafka:7.6.1": "Kafka", "clickhouse/clickhouse-server:24": "ClickHouse", "mongo:7": "MongoDB", "rabbitmq:3-management": "RabbitMQ",
		"prometheuscommunity/postgres-exporter": "", "oliver006/redis_exporter": "", "mongo-express": "", "provectuslabs/kafka-ui": "", "phpmyadmin": "", "postgrest/postgrest": "",
		"dpage/pgadmin4": "", "confluentinc/cp-kafka-connect": "", "": "",
	}
	var nodes []graph.Node
	for image := range products {
		n := container("one", "", image)
		n.Image = image
		nodes = append(nodes, n)
	}
	_, address := serve(t, newMap(nodes, nil))
	p := webtest.Start(t).Open(address, 1280, 720)
	p.Until(`document.querySelector("#overview h2")`)
	got := webtest.Eval[map[string]string](p, `Promise.all([import(new URL("summary.js", location)), fetch("../v1/graph").then((r) => r.json())])
		.then(([{ findStores }, graph]) => Object.fromEntries(findStores(graph).map((s) => [s.node.image, s.product.name])))`)
	for image, want := range products {
		if got[image] != want {
			t.Errorf("%s is %q, want %q", image, got[image], want)
		}
	}
}

// TestUnansweredDialsAreNoCallers dials a database, and an address that may be one.
func TestUnansweredDialsAreNoCallers(t *testing.T) {
	t.Parallel()
	db, web, api, cache := container("one", "shop", "db"), container("one", "shop", "web"), container("one", "shop", "api"), external("192.0.2.77")
	db.Image = "postgres:17"
	p, _ := open(t, newMap([]graph.Node{db, web, api, cache}, []graph.Link{link(api, db, 5432, 2), failing(web, db, 5432), failing(web, cache, 6379)}), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (1)", "shop-db PostgreSQL :5432 ← api; no answer for web")
}

// listening returns a container with listeners.
func listening(n graph.Node, listeners ...snapshotv1.Listener) graph.Node {
	details := *n.Details
	details.Listening = append([]snapshotv1.Listener{}, listeners...)
	n.Details = &details
	return n
}

// listener listens at an endpoint, and host endpoints lead to it.
func listener(at string, published ...string) snapshotv1.Listener {
	endpoint := func(text string) snapshotv1.Endpoint {
		parsed := netip.MustParseAddrPort(text)
		return snapshotv1.Endpoint{Address: parsed.Addr().String(), Port: parsed.Port()}
	}
	l := snapshotv1.Listener{Endpoint: endpoint(at), Published: []snapshotv1.Endpoint{}}
	for _, text := range published {
		l.Published = append(l.Published, endpoint(text))
	}
	return l
}

// TestExposedPorts has all ways in which a container is reached from outside, and some in which it is not.
func TestExposedPorts(t *testing.T) {
	t.Parallel()
	client := external("203.0.113.5")
	visit := func(server graph.Node, port uint16, via graph.Via) graph.Link {
		l := link(client, server, port, 1)
		l.Via = via
		return l
	}
	both := listening(container("one", "shop", "both"), listener("0.0.0.0:8080", "127.0.0.1:8000", "192.0.2.1:8000"))
	two := listening(container("one", "shop", "two"), listener("[::]:80", "0.0.0.0:8001", "[::]:8001", "0.0.0.0:9001"))
	local := listening(container("one", "shop", "local"), listener("0.0.0.0:80", "127.0.0.1:8002", "[::1]:8002", "[::ffff:127.0.0.1]:8003"))
	host := listening(container("one", "shop", "host"), listener("127.0.0.1:53"), listener("192.0.2.1:53"), listener("127.0.0.1:54"))
	host.Details.HostNetwork = true
	several := listening(container("one", "shop", "several"), listener("0.0.0.0:80", "192.0.2.1:8006", "[2001:db8::1]:8006"), listener("0.0.0.0:81", "[2001:db8::1]:8007"))
	lan := listening(container("one", "shop", "lan"), listener("0.0.0.0:80"), listener("127.0.0.1:81"))
	lan.Details.Networks = []snapshotv1.Network{{ID: "m", Name: "lan", Driver: "macvlan", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.50")}, Gateways: []netip.Addr{}}}
	routed := listening(container("one", "shop", "routed"), listener("0.0.0.0:80", "0.0.0.0:8004"))
	unread := listening(container("one", "shop", "unread"))
	unread.Details.Status = snapshotv1.StatusFailed
	old := container("one", "shop", "old")
	old.Details = nil
	behind := graph.Node{ID: "unknown/one", Kind: graph.KindUnknown, Host: "one", Name: "behind one"}
	blank, apart := listening(container("one", "a", "b c"), listener("0.0.0.0:80", "0.0.0.0:8005")), listening(container("one", "a b", "c"), listener("0.0.0.0:80", "0.0.0.0:8005"))

	dial := link(behind, two, 80, 1)
	dial.Via = graph.ViaPublished
	g := newMap([]graph.Node{client, behind, both, two, local, host, lan, several, routed, unread, old, blank, apart}, []graph.Link{
		visit(both, 8080, graph.ViaPublished), visit(two, 80, graph.ViaPublished), visit(host, 53, graph.ViaHost), visit(lan, 80, graph.ViaDirect), visit(routed, 80, graph.ViaDirect), dial,
	})
	p, _ := open(t, g, "")
	same(t, "exposed ports", section(p, "exposed"), "Exposed ports (10)",
		":8001, :9001 → shop-two :80 ← 2 clients", "192.0.2.1:53 → shop-host ← 203.0.113.5", "192.0.2.50:80 → shop-lan ← 203.0.113.5", "192.0.2.1:8000 → shop-both :8080 ← 203.0.113.5",
		":8004 → shop-routed :80", ":8005 → a b-c :80", ":8005 → a-b c :80", "192.0.2.1:8006 and 1 other address → shop-several :80", "[2001:db8::1]:8007 → shop-several :81", "3 ports on loopback only", "2 containers with unknown ports")
}

// TestFirstStoresOfAKind has three databases of one kind, and room for them: each shows its callers.
func TestFirstStoresOfAKind(t *testing.T) {
	t.Parallel()
	var nodes []graph.Node
	var links []graph.Link
	for i := range 3 {
		db, api := published(container("one", "", fmt.Sprintf("db%d", i)), uint16(15432+i)), container("one", "", fmt.Sprintf("api%d", i))
		nodes, links = append(nodes, db, api), append(links, link(api, db, 5432, 1))
	}
	p, _ := open(t, newMap(nodes, links), "")
	same(t, "stores", section(p, "stores"), "Databases, caches, queues (3)", "db0 PostgreSQL :5432 ← api0", "db1 PostgreSQL :5432 ← api1", "db2 PostgreSQL :5432 ← api2")
}
