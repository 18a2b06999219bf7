package snapshot

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// The engine lists no published port of a Swarm service with its containers.
func TestPublishedPortsOfSwarmServices(t *testing.T) {
	addr := netip.MustParseAddr
	networks := []container.NetworkConfig{
		{ID: "ingress", Services: []container.Service{
			{Name: "web", Ports: []container.ServicePort{{Published: 53, Target: 53}, {Published: 8081, Target: 8080}}, Tasks: []netip.Addr{addr("10.0.0.5"), addr("10.0.0.6")}},
			{Name: "other", Ports: []container.ServicePort{{Published: 9000, Target: 8080}}, Tasks: []netip.Addr{addr("10.0.0.7")}},
		}},
		{ID: "ov", Services: []container.Service{{Name: "web", Tasks: []netip.Addr{addr("10.0.1.5")}}}},
	}
	namespace := &collect.NetNS{ID: "task", Sockets: []socket.Socket{listen("0.0.0.0:8080", 1)}}
	readings := []collect.Reading{
		{Container: container.Container{Networks: []container.Network{{ID: "ingress", Addresses: []netip.Addr{addr("10.0.0.5")}}, {ID: "ov", Addresses: []netip.Addr{addr("10.0.1.5")}}}}, NetNS: namespace},
		{Container: container.Container{NetworkMode: "container:task"}, NetNS: namespace},
		{Container: container.Container{Networks: []container.Network{{ID: "bridge", Addresses: []netip.Addr{addr("10.0.0.6")}}}}, NetNS: &collect.NetNS{ID: "other"}},
		{Container: container.Container{Networks: []container.Network{{ID: "ingress", Addresses: []netip.Addr{addr("10.0.0.6")}}}}},
	}
	got := WithServicePorts(readings, networks)
	for i, want := range []string{"[{8080 0.0.0.0:8081 false}]", "[{8080 0.0.0.0:8081 false}]", "[]"} {
		if published := fmt.Sprint(got[i].NetNS.Published); published != want {
			t.Errorf("%d: %s, want %s", i, published, want)
		}
	}
	if got[0].NetNS != got[1].NetNS || got[3].NetNS != nil || len(got[0].Container.Published) != 1 || len(got[3].Container.Published) != 0 {
		t.Errorf("%+v", got)
	}
	if namespace.Published != nil || readings[0].Container.Published != nil {
		t.Error("the readings changed")
	}
	taken := Attribute(collect.Result{Readings: got[:1]}, Interfaces{Addresses: []netip.Addr{addr("192.0.2.1")}})
	if listening := fmt.Sprint(taken[0].Listening); listening != "[192.0.2.1:8081]" {
		t.Errorf("listening at %s", listening)
	}
}
