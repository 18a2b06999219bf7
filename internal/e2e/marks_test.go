package e2e

import (
	"encoding/json"
	"testing"
)

// marks are the fields of a container that mark it on the map.
type marks struct {
	State, Health             string
	Restarts                  int
	HostNetwork, EngineSocket bool
}

// marksOf returns the marks of a container in the snapshot and in the map.
func (o *outpost) marksOf(name string) (inSnapshot, inGraph marks) {
	o.t.Helper()
	var snapshot struct {
		Containers []struct {
			Name string
			marks
		}
	}
	var graph struct {
		Nodes []struct {
			Name    string
			Details marks
		}
	}
	for path, document := range map[string]any{"/v1/snapshot": &snapshot, "/v1/graph": &graph} {
		if err := json.Unmarshal([]byte(o.get(path).body), document); err != nil {
			o.t.Fatal(err)
		}
	}
	for _, c := range snapshot.Containers {
		if c.Name == "/"+name {
			inSnapshot = c.marks
		}
	}
	for _, n := range graph.Nodes {
		if n.Name == name {
			inGraph = n.Details
		}
	}
	return inSnapshot, inGraph
}

// expectMarks waits until a container has marks in the snapshot and in the map.
func (o *outpost) expectMarks(name string, want marks) {
	o.t.Helper()
	eventually(o.t, func() bool {
		inSnapshot, inGraph := o.marksOf(name)
		return inSnapshot == want && inGraph == want
	})
}

func TestMarksOfContainers(t *testing.T) {
	l := newLab(t)
	l.run("plain", tools, "peer")
	l.run("checked", "--health-cmd", "test ! -e /tmp/sick", "--health-interval", "200ms", "--health-retries", "1", "--tmpfs", "/tmp", tools, "peer")
	l.run("onhost", "--network", "host", tools, "peer")
	l.run("joined", "--network", "container:"+l.Name("onhost"), tools, "peer")
	l.run("socket", "-v", "/var/run/docker.sock:/engine.sock", tools, "peer")
	l.run("directory", "-v", "/:/rootfs:ro", tools, "peer")
	l.run("failing", "--restart", "on-failure:5", tools, "sh", "-c", `echo started >>/log; [ "$(busybox wc -l </log)" -gt 2 ] && exec sleep 1000`)
	o := start(t)
	o.expectMarks(l.Name("plain"), marks{State: "running"})
	o.expectMarks(l.Name("checked"), marks{State: "running", Health: "healthy"})
	o.expectMarks(l.Name("onhost"), marks{State: "running", HostNetwork: true})
	o.expectMarks(l.Name("joined"), marks{State: "running", HostNetwork: true})
	o.expectMarks(l.Name("socket"), marks{State: "running", EngineSocket: true})
	o.expectMarks(l.Name("directory"), marks{State: "running", EngineSocket: true})
	o.expectMarks(l.Name("failing"), marks{State: "running", Restarts: 2})

	l.docker("pause", l.Name("plain"))
	o.expectMarks(l.Name("plain"), marks{State: "paused"})
	l.docker("unpause", l.Name("plain"))
	o.expectMarks(l.Name("plain"), marks{State: "running"})

	before := o.engineCalls()
	for _, change := range []struct{ command, health string }{{"touch", "unhealthy"}, {"rm", "healthy"}} {
		l.docker("exec", l.Name("checked"), "busybox", change.command, "/tmp/sick")
		o.expectMarks(l.Name("checked"), marks{State: "running", Health: change.health})
	}
	after := o.engineCalls()
	if lists, inspects := after["list"]-before["list"], after["inspect"]-before["inspect"]; lists != 0 || inspects != 2 {
		t.Errorf("two changes of health made %d calls for the list and %d for details; want 0 and 2", lists, inspects)
	}
}
