package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"

	"github.com/PabloL007/outpost/internal/socket"
)

// Any answer of an engine is converted to a container or rejected.
func FuzzInspect(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no recorded answers: %v", err)
	}
	for _, path := range paths {
		answer, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(answer)
	}
	f.Add([]byte(`{"Id":"a","State":{},"HostConfig":{"NetworkMode":"container:"},"Config":{},"NetworkSettings":{"Ports":{"80/tcp":[{"HostIp":"x","HostPort":"99999"}]},"Networks":{"n":null}}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var inspected container.InspectResponse
		if json.Unmarshal(answer, &inspected) != nil {
			return
		}
		c, err := toContainer(inspected)
		if err == nil && c.PID < 0 {
			t.Errorf("%+v", c)
		}
	})
}
func TestToPorts(t *testing.T) {
	ports := []nat.Port{"443/tcp", "53/udp", "80/tcp", "79-81/tcp", "65534-70000/tcp", "0-1/tcp", "x/tcp", "8080", "5060/sctp"}
	if got, want := fmt.Sprint(toPorts(slices.Values(ports))), "[1 79 80 81 443 8080 53/udp]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := fmt.Sprint(mergePorts([]socket.Port{80, 443}, []socket.Port{22, 80})), "[22 80 443]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
