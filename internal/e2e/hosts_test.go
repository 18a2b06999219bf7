package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// A connection to a published port of another host: each host sees its own end, and the server sees the masqueraded client.
func TestPublishedPortAcrossTwoHosts(t *testing.T) {
	t.Parallel()
	a, b := newEngine(t, "10.77.0.21/24", lab.EngineOptions{}), newEngine(t, "10.77.0.22/24", lab.EngineOptions{})
	// Masquerade keeps the source port only if it is free. With a port for each client, equal source ports do not collide.
	b.peer("server", []string{"-p", "8080:80", "-p", "8081:81"}, "listen:tcp4:0.0.0.0:80", "listen:tcp4:0.0.0.0:81")
	a.peer("client", nil, "dial:1:10.77.0.22:8080")
	a.peer("process", []string{"--network", "host"}, "dial:1:10.77.0.22:8081")

	onA, onB := a.start(), b.start()
	local := onA.snapshot().container(t, a.Name("client")).Connections[0].Local
	byHost := onA.snapshot().container(t, a.Name("process")).Connections[0].Local
	onA.connections().expect(a.Name("client"), nil, []string{"10.77.0.22 8080"})
	onA.connections().expect(a.Name("process"), nil, []string{"10.77.0.22 8081"})
	// The server sees the address of the client's host.
	want := []string{fmt.Sprint("10.77.0.21 ", local.Port), fmt.Sprint("10.77.0.21 ", byHost.Port)}
	slices.Sort(want)
	onB.connections().expect(b.Name("server"), []string{"10.77.0.22 8080", "10.77.0.22 8081"}, want)
	if got := fmt.Sprint(onB.snapshot().Host.Addresses); !strings.Contains(got, "10.77.0.22") {
		t.Errorf("the host's addresses are %s", got)
	}
}

// start starts a daemon in the engine's namespaces.
func (e *testEngine) start(variables ...string) *outpost {
	e.t.Helper()
	address := net.JoinHostPort(e.ip, e.port)
	return startCommand(e.t, e.Command(context.WithoutCancel(e.t.Context()), binary), append(variables, "OUTPOST_LISTEN="+address)...)
}
