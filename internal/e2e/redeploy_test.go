package e2e

import (
	"slices"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
)

// nodesNamed returns the nodes of a map with a name.
func nodesNamed(g graph.Graph, name string) []graph.Node {
	return slices.DeleteFunc(slices.Clone(g.Nodes), func(n graph.Node) bool { return n.Name != name })
}

// linkBetween returns the link between the only nodes with two names; ok is false if the map lacks it, or if several nodes have a name.
func linkBetween(g graph.Graph, client, server string) (link graph.Link, ok bool) {
	clients, servers := nodesNamed(g, client), nodesNamed(g, server)
	if len(clients) != 1 || len(servers) != 1 {
		return link, false
	}
	i := slices.IndexFunc(g.Links, func(l graph.Link) bool { return l.Client == clients[0].ID && l.Server == servers[0].ID })
	if i < 0 {
		return link, false
	}
	return g.Links[i], true
}

// A container that takes the name of a removed one has its links, and names it as its predecessor.
func TestRedeployedContainerHasTheLinks(t *testing.T) {
	l := newLab(t)
	first := l.peer("web", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:2:"+l.address("web")+":80")
	o := start(t)
	eventually(t, func() bool {
		link, ok := linkBetween(o.graph(""), l.Name("client"), l.Name("web"))
		return ok && link.Live && link.Connections == 2
	})
	l.docker("rm", "-f", l.Name("web"))
	second := l.peer("web", nil, "listen:tcp4:0.0.0.0:80")
	eventually(t, func() bool {
		g := o.graph("")
		web := nodesNamed(g, l.Name("web"))
		_, hasLink := linkBetween(g, l.Name("client"), l.Name("web"))
		return hasLink && web[0].Container == second && !web[0].Past && len(web[0].Predecessors) == 1 && web[0].Predecessors[0].Container == first
	})
}

// A server that loses its answers has an unanswered link, until an answer arrives.
func TestServerWithoutAnAnswerHasAttempts(t *testing.T) {
	l := newLab(t)
	l.peer("web", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil)
	route := func(verb string) {
		l.docker("exec", "--privileged", l.Name("web"), "busybox", "ip", "route", verb, "blackhole", l.address("client"))
	}
	route("add")
	o := start(t)
	l.docker("exec", "-d", l.Name("client"), "sh", "-c", "sleep 1000 | busybox nc "+l.address("web")+" 80") // waits as long as the kernel dials
	eventually(t, func() bool {
		link, ok := linkBetween(o.graph(""), l.Name("client"), l.Name("web"))
		return ok && link.Live && link.Unanswered && link.Attempts == 1 && link.Port == 80 && link.Connections == 0
	})
	route("del")
	eventually(t, func() bool {
		link, ok := linkBetween(o.graph(""), l.Name("client"), l.Name("web"))
		return ok && link.Live && !link.Unanswered && link.Attempts == 0 && link.Connections == 1
	})
}
