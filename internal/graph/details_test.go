package graph

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

func TestDetails(t *testing.T) {
	long := strings.Repeat("é", longest)
	document := snapshot.Document{Host: snapshot.HostDocument{ID: "h", Name: "h"}, Containers: []snapshot.ContainerDocument{{
		ID: "a", Name: "/a", Method: collect.Exec, Status: snapshot.StatusPartial, Reason: "denied",
		Unused:    []snapshot.UnusedDocument{{Method: collect.Procfs, Reason: long}},
		Networks:  []snapshot.NetworkDocument{{ID: "n", Name: "net", Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.2")}}},
		Listening: []snapshot.ListenerDocument{{Endpoint: snapshot.Endpoint{Address: "0.0.0.0", Port: 80}, Process: "nginx"}},
	}, {ID: "b", Name: "/b"}}}
	now := time.Now()
	g := Of([]Source{{Host: NewHost(document, netip.Addr{}, nil, now), State: StateOK, Seen: now}}, nil)
	got, err := json.Marshal(g.Nodes[0].Details)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"method":"exec","unused":[{"method":"procfs","reason":"` + clip(long) + `"}],"status":"partial",` +
		`"networks":[{"id":"n","name":"net","addresses":["172.18.0.2"],"gateways":[]}],` +
		`"listening":[{"address":"0.0.0.0","port":80,"published":[],"process":"nginx"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if g.Nodes[1].Details != nil {
		t.Errorf("of a daemon that tells none: %+v", g.Nodes[1].Details)
	}
	document.Containers[0].Networks[0].Addresses[0] = netip.Addr{}
	if !g.Nodes[0].Details.Networks[0].Addresses[0].IsValid() {
		t.Error("the details change with the document")
	}
}
