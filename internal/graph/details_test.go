package graph

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/collect"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

func TestDetails(t *testing.T) {
	long := strings.Repeat("é", MaxTextLen)
	container := snapshotv1.Container{
		ID: "a", Name: "/a", Method: collect.Exec, Status: snapshotv1.StatusPartial, Reason: "denied",
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
