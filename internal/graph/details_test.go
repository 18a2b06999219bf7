package graph

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

func TestDetails(t *testing.T) {
	long := strings.Repeat("é", MaxTextLen)
	container := snapshot.ContainerDocument{
		ID: "a", Name: "/a", Method: collect.Exec, Status: snapshot.StatusPartial, Reason: "denied",
		Unused:    []snapshot.UnusedDocument{{Method: collect.Procfs, Reason: long}},
		Networks:  []snapshot.NetworkDocument{{ID: "n", Name: "net", Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.2")}}},
		Listening: []snapshot.ListenerDocument{{Endpoint: snapshot.Endpoint{Address: "0.0.0.0", Port: 80}, Process: "nginx"}},
	}
	details := NewDetails(container)
	got, err := json.Marshal(details)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"method":"exec","unused":[{"method":"procfs","reason":"` + Truncate(long) + `"}],"status":"partial",` +
		`"networks":[{"id":"n","name":"net","addresses":["172.18.0.2"],"gateways":[]}],` +
		`"listening":[{"address":"0.0.0.0","port":80,"published":[],"process":"nginx"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if none := NewDetails(snapshot.ContainerDocument{ID: "b", Name: "/b"}); none != nil {
		t.Errorf("details of a container without method: %+v", none)
	}
	container.Networks[0].Addresses[0] = netip.Addr{}
	if !details.Networks[0].Addresses[0].IsValid() {
		t.Error("the details change with the document")
	}
}
