package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/container"
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
