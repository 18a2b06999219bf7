package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/PabloL007/outpost/internal/socket"
)

// startUDP starts servers and clients of UDP in each kind of network. Names of the servers are dialled, so that the engine's resolver is used.
func (l *testLab) startUDP() {
	l.t.Helper()
	if err := l.Network(l.t.Context(), "net"); err != nil {
		l.t.Fatal(err)
	}
	own := []string{"--network", l.Name("net")}
	l.peer("dns", append(own, "-p", l.port(0)+":53/udp", "-p", l.port(0)+":53/tcp"), "echo:udp4:0.0.0.0:53", "echo:udp:[::]:5300", "echo:udp4:127.0.0.1:54", "listen:tcp4:0.0.0.0:53")
	l.peer("sidecar", []string{"--network", "container:" + l.Name("dns")}, "echo:udp4:0.0.0.0:90", "talk:1:127.0.0.1:54")
	l.peer("agent", []string{"--network", "host"}, "echo:udp4:0.0.0.0:"+l.port(1))
	l.peer("client", own, "talk:2:"+l.Name("dns")+":53", "talk:1:"+l.Name("dns")+":5300", "send:"+l.Name("dns")+":53", "dial:1:"+l.Name("dns")+":53")
	l.peer("caller", nil, "talk:1:"+l.gateway("dns")+":"+l.port(0))
	l.peer("near", nil, "talk:1:"+l.gateway("caller")+":"+l.port(1)) // the agent answers from the address on that bridge
}

// gateway returns the gateway of a container's network.
func (l *testLab) gateway(part string) string {
	l.t.Helper()
	return l.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", l.Name(part))
}

// udpOnly returns the UDP listeners of a container.
func udpOnly(c *snapshotContainer) (listeners []string) {
	for _, l := range c.Listening {
		if l.Protocol == socket.UDP {
			listeners = append(listeners, endpoint{l.Address, l.Port, l.Protocol}.String())
		}
	}
	return listeners
}

func TestUDPSocketsAreRead(t *testing.T) {
	l := newLab(t)
	l.startUDP()
	seen := make(map[string][]*snapshotContainer)
	var parts []string
	for _, part := range []string{"dns", "sidecar", "agent", "client", "caller", "near"} {
		parts = append(parts, l.Name(part))
	}
	eachMethod(t, func(t *testing.T, o *outpost, method string) {
		dns, published := l.address("dns"), l.gateway("dns")+" "+l.port(0)+"/udp"
		udp := o.connectionsOf("udp")
		udp.expect(l.Name("dns"), []string{"10.1.2.3 " + l.port(0) + "/udp"}, nil)
		udp.expect(l.Name("sidecar"), nil, []string{"127.0.0.1 54/udp"})
		udp.expect(l.Name("agent"), []string{"10.1.2.3 " + l.port(1) + "/udp"}, nil)
		udp.expect(l.Name("client"), nil, []string{dns + " 53/udp", dns + " 53/udp", dns + " 5300/udp"})
		udp.expect(l.Name("caller"), nil, []string{published})
		o.connections().expect(l.Name("client"), nil, []string{dns + " 53"})
		both := o.connectionsOf("all")
		both.expect(l.Name("dns"), []string{"10.1.2.3 " + l.port(0), "10.1.2.3 " + l.port(0) + "/udp"}, []string{l.address("client") + " " + tcpPortOf(both, l.Name("dns"))})
		s := o.snapshot()
		if diff := cmp.Diff([]string{"0.0.0.0 53/udp", "127.0.0.1 54/udp", ":: 5300/udp"}, udpOnly(s.container(t, l.Name("dns")))); diff != "" {
			t.Errorf("dns by %s (-want +got):\n%s", method, diff)
		}
		if got := udpOnly(s.container(t, l.Name("client"))); len(got) != 0 {
			t.Errorf("a sender listens at %v by %s", got, method)
		}
		seen[method] = s.withoutMethodDetails(parts...)
	})
	for _, method := range []string{"procfs", "exec"} {
		if diff := cmp.Diff(seen["sockdiag"], seen[method]); diff != "" {
			t.Errorf("(-sockdiag +%s):\n%s", method, diff)
		}
	}
}

// tcpPortOf returns the remote port of the only connection of TCP that a container has.
func tcpPortOf(a *answer, name string) string {
	for _, e := range a.containers["/"+name].Established {
		if e.Protocol == socket.TCP {
			return strings.Fields(e.String())[1]
		}
	}
	return "none"
}

func TestLinksOfUDP(t *testing.T) {
	l := newLab(t)
	l.startUDP()
	o := start(t, interfaces)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	shorten := strings.NewReplacer(l.Name(""), "", host+"/", "")
	o.expectLines(func() []string {
		return slices.DeleteFunc(linkLines(o.graph("?unlinked=hide"), shorten), func(line string) bool { return !strings.Contains(line, "/udp") && !strings.Contains(line, ":53 ") })
	}, []string{
		"client > dns:53/udp direct client 2",
		"client > dns:5300/udp direct client 1",
		"client > dns:53 direct both 1",
		"caller > dns:53/udp published client 1",
		"near > agent:" + l.port(1) + "/udp host client 1",
		"sidecar > dns:54/udp loopback client 1",
	})
}
