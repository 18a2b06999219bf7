package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
)

// createSwarmService starts a service with a container on each host and a published port.
func createSwarmService(manager *testEngine) {
	manager.docker("service", "create", "--detach", "--name", "web", "--mode", "global", "--network", "shop", "-p", "8081:80",
		"--no-resolve-image", tools, "peer", "listen:tcp4:0.0.0.0:80")
}

// joinSwarm makes two engines a Swarm with the network "shop". Containers may join it.
func joinSwarm(t *testing.T, manager, worker *testEngine) {
	t.Helper()
	manager.docker("swarm", "init", "--advertise-addr", manager.ip)
	token := manager.docker("swarm", "join-token", "-q", "worker")
	worker.docker("swarm", "join", "--token", token, "--advertise-addr", worker.ip, manager.ip+":2377")
	t.Cleanup(func() {
		for _, e := range []*testEngine{worker, manager} {
			_, _ = e.Docker(context.WithoutCancel(t.Context()), "swarm", "leave", "--force")
		}
	})
	manager.docker("network", "create", "-d", "overlay", "--attachable", "shop")
}

// dialSwarmService dials the service of createSwarmService through its published port and its virtual address. It returns the links, and
// short names of their containers.
func dialSwarmService(t *testing.T, a, b *testEngine) (links []string, names *strings.Replacer) {
	t.Helper()
	var onA, onB string
	eventually(t, func() bool {
		onA, onB = a.docker("ps", "-q", "--filter", "name=web."), b.docker("ps", "-q", "--filter", "name=web.")
		return onA != "" && onB != ""
	})
	virtual := a.virtualAddress("shop", "web")
	nameA, nameB := "web-a", "web-b"
	if hasIPVS() { // it distributes the connections of a client to both containers
		nameA, nameB = "web", "web"
	} else {
		replaceIPVS(a, b, onA, onB, virtual)
	}

	a.peer("published-a", nil, "dial:2:"+a.ip+":8081")
	b.peer("published-b", nil, "dial:3:"+b.ip+":8081")
	b.peer("elsewhere", nil, "dial:1:"+a.ip+":8081")
	a.peer("virtual", []string{"--network", "shop"}, "dial:4:"+virtual+":80")
	names = strings.NewReplacer(a.Name(""), "", b.Name(""), "", a.containerName(onA), nameA, b.containerName(onB), nameB)
	return []string{
		"published-a > " + nameB + ":80 published both 2", "published-b > " + nameA + ":80 published both 3",
		"elsewhere > " + nameB + ":80 published both 1", "virtual > " + nameB + ":80 direct both 4",
	}, names
}

// swarmLinks describes the links of the service and of its clients. It adds up the connections of links that names makes equal.
func swarmLinks(g graph.Graph, names *strings.Replacer) (lines []string) {
	byID := make(map[string]string)
	for _, n := range g.Nodes {
		byID[n.ID] = names.Replace(n.Name)
	}
	connections := make(map[string]int)
	for _, l := range g.Links {
		if client, server := byID[l.Client], byID[l.Server]; l.Port == 8081 || strings.HasPrefix(server, "web") || strings.HasPrefix(client, "published") || client == "virtual" || client == "elsewhere" {
			connections[fmt.Sprintf("%s > %s:%d %s %s", client, server, l.Port, l.Via, l.Evidence)] += l.Connections
		}
	}
	for link, n := range connections {
		lines = append(lines, fmt.Sprint(link, " ", n))
	}
	slices.Sort(lines)
	return lines
}

// hasIPVS reports whether the kernel has IPVS. The engine has loaded its module.
func hasIPVS() bool {
	_, err := os.Stat("/proc/net/ip_vs")
	return err == nil
}

// replaceIPVS makes both engines forward the published port to the container on the other one, and a the virtual address to the
// container on b.
func replaceIPVS(a, b *testEngine, onA, onB, virtual string) {
	a.balance("ingress_sbox", "8081", b.swarmAddress(onB, "ingress")+":8081")
	b.balance("ingress_sbox", "8081", a.swarmAddress(onA, "ingress")+":8081")
	for _, e := range []*testEngine{a, b} {
		sandbox := e.insideNetNS("ingress_sbox", "ip -4 -o address show eth1 | awk '{print $4}' | cut -d/ -f1")
		for _, chain := range []string{"PREROUTING", "OUTPUT"} {
			e.inside("iptables", "-t", "nat", "-I", chain, "-p", "tcp", "--dport", "8081", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "DNAT", "--to-destination", sandbox+":8081")
		}
		e.inside("iptables", "-I", "DOCKER-USER", "-j", "ACCEPT")
	}
	const idLength = 9 // of the network's ID in the name of its load balancer's namespace
	balancer := "lb_" + a.docker("network", "inspect", "-f", "{{.Id}}", "shop")[:idLength]
	a.insideNetNS(balancer, "ip address add "+virtual+"/32 dev eth0; sysctl -qw net.ipv4.ip_forward=1")
	a.balance(balancer, "80", b.swarmAddress(onB, "shop")+":80")
}

// balance makes a load balancer of Docker Swarm forward a port to one container. It replaces IPVS, which not every kernel has.
func (e *testEngine) balance(netns, port, to string) {
	e.t.Helper()
	network, _, _ := strings.Cut(to, ":")
	network = network[:strings.LastIndexByte(network, '.')] + ".0/24"
	e.insideNetNS(netns, "own=$(ip -4 -o address show eth0 | awk 'NR == 1 {print $4}' | cut -d/ -f1); "+
		"iptables -t nat -A PREROUTING -p tcp --dport "+port+" -j DNAT --to-destination "+to+"; "+
		"iptables -t nat -A POSTROUTING -d "+network+" -j SNAT --to-source $own")
}

// insideNetNS runs a shell command in a network namespace that the engine made, and returns its output.
func (e *testEngine) insideNetNS(netns, command string) string {
	e.t.Helper()
	return e.inside("sh", "-c", "nsenter --net=/run/docker/netns/"+netns+" sh -c '"+strings.ReplaceAll(command, "'", `'\''`)+"'")
}

// swarmAddress returns the address of a container on a network.
func (e *testEngine) swarmAddress(id, network string) string {
	e.t.Helper()
	return e.docker("inspect", "-f", "{{(index .NetworkSettings.Networks \""+network+"\").IPAddress}}", id)
}

func (e *testEngine) containerName(id string) string {
	e.t.Helper()
	return strings.TrimPrefix(e.docker("inspect", "-f", "{{.Name}}", id), "/")
}

// virtualAddress returns the virtual address of a service on a network.
func (e *testEngine) virtualAddress(network, service string) string {
	e.t.Helper()
	var inspected []struct {
		Services map[string]struct{ VIP string }
	}
	if err := json.Unmarshal([]byte(e.docker("network", "inspect", "--verbose", network)), &inspected); err != nil {
		e.t.Fatal(err)
	}
	return inspected[0].Services[service].VIP
}
