package graph

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

func TestDetails(t *testing.T) {
	long := strings.Repeat("é", MaxTextLen)
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	container := snapshotv1.Container{
		ID: "a", Name: "/a", Method: collect.Exec, Status: snapshotv1.StatusPartial, Reason: "denied",
		State: "paused", Health: "unhealthy", Restarts: 3, StartedAt: &started, HostNetwork: true, EngineSocket: true,
		Unused:    []snapshotv1.UnusedMethod{{Method: collect.Procfs, Reason: long}},
		Networks:  []snapshotv1.Network{{ID: "n", Name: "net", Driver: "bridge", Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.2")}}},
		Listening: []snapshotv1.Listener{{Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: 80}, Process: "nginx"}},
	}
	details := NewDetails(container)
	got, err := json.Marshal(details)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"method":"exec","unused":[{"method":"procfs","reason":"` + Truncate(long) + `"}],"status":"partial",` +
		`"state":"paused","health":"unhealthy","restarts":3,"startedAt":"2026-01-02T03:04:05Z","hostNetwork":true,"engineSocket":true,` +
		`"networks":[{"id":"n","name":"net","driver":"bridge","addresses":["172.18.0.2"],"gateways":[]}],` +
		`"listening":[{"address":"0.0.0.0","port":80,"published":[],"process":"nginx"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if none := NewDetails(snapshotv1.Container{ID: "b", Name: "/b"}); none != nil {
		t.Errorf("details of a container without method: %+v", none)
	}
	container.Networks[0].Addresses[0] = netip.Addr{}
	if !details.Networks[0].Addresses[0].IsValid() {
		t.Error("the details change with the document")
	}
}

// An older daemon reports none of the newer fields. A newer one may report unknown values.
func TestDetailsOfOtherVersions(t *testing.T) {
	older, err := json.Marshal(NewDetails(snapshotv1.Container{Method: collect.Exec, Status: snapshotv1.StatusOK}))
	if want := `{"method":"exec","unused":[],"status":"ok","networks":[],"listening":[]}`; err != nil || string(older) != want {
		t.Errorf("older: %s, %v; want %s", older, err, want)
	}
	long := strings.Repeat("x", 2*MaxTextLen)
	newer := NewDetails(snapshotv1.Container{
		Method: collect.Exec, State: "hibernating", Health: long, Listening: []snapshotv1.Listener{{Protocol: socket.OtherProtocol}, {Protocol: socket.UDP}},
	})
	if len(newer.Listening) != 1 || newer.Listening[0].Protocol != socket.UDP {
		t.Errorf("newer: %+v", newer.Listening)
	}
	if newer.State != "hibernating" || newer.Health != Truncate(long) {
		t.Errorf("newer: %q, %q", newer.State, newer.Health)
	}
}
