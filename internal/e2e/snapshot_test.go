package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// snapshotAnswer has the fields of GET /v1/snapshot that the tests use.
type snapshotAnswer struct {
	Host struct {
		Addresses []string
		Sockets   *hostSockets
	}
	Containers []*snapshotContainer
}

type hostSockets struct {
	Method      string
	Incomplete  bool
	Listening   []endpoint
	Connections []snapshotConnection
}

type snapshotContainer struct {
	ID, Name, Method, Status, Reason, Namespace string
	Unused                                      []struct{ Method, Reason string }
	Listening                                   []snapshotListener
	Connections                                 []snapshotConnection
	StartedAt                                   time.Time
	Exposed                                     []uint16
	Addresses                                   []string
}

type snapshotListener struct {
	Address   string
	Port      uint16
	Protocol  socket.Protocol
	Published []endpoint
	Process   string
}

type snapshotConnection struct {
	Local, Remote             endpoint
	Protocol                  socket.Protocol
	Direction, State, Process string
	Measured                  *struct{ RTTMicroseconds, BytesSent, BytesReceived int64 }
	Dialled                   *bool
	ClosedAt                  *time.Time
}

func (o *outpost) snapshot() snapshotAnswer {
	o.t.Helper()
	a := o.get("/v1/snapshot")
	if a.status != http.StatusOK {
		o.t.Fatalf("%d %s", a.status, a.body)
	}
	var s snapshotAnswer
	if err := json.Unmarshal([]byte(a.body), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// container returns a container by its name.
func (s snapshotAnswer) container(t testing.TB, name string) *snapshotContainer {
	t.Helper()
	for _, c := range s.Containers {
		if c.Name == "/"+name {
			return c
		}
	}
	t.Fatalf("%s is not in the snapshot", name)
	return nil
}

// has reports whether a container is in the snapshot.
func (s snapshotAnswer) has(name string) bool {
	return slices.ContainsFunc(s.Containers, func(c *snapshotContainer) bool { return c.Name == "/"+name })
}

// listens returns the listeners as "address port", without the engine's own DNS resolver in the container.
func (c *snapshotContainer) listens() []string {
	var all []string
	for _, l := range c.Listening {
		if l.Address != "127.0.0.11" {
			all = append(all, endpoint{l.Address, l.Port, l.Protocol}.String())
		}
	}
	return all
}

// withoutMethodDetails returns containers without what differs between methods: the method, process names, measurements and which end dialled, and
// connections that close by themselves.
func (s snapshotAnswer) withoutMethodDetails(names ...string) []*snapshotContainer {
	var all []*snapshotContainer
	for _, c := range s.Containers {
		if !slices.Contains(names, strings.TrimPrefix(c.Name, "/")) {
			continue
		}
		c.Method, c.Unused = "", nil
		for i := range c.Listening {
			c.Listening[i].Process = ""
		}
		c.Connections = slices.DeleteFunc(c.Connections, func(x snapshotConnection) bool { return x.State != "ESTABLISHED" })
		for i := range c.Connections {
			c.Connections[i].Measured, c.Connections[i].Process, c.Connections[i].Dialled = nil, "", nil
		}
		all = append(all, c)
	}
	return all
}
