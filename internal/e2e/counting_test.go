package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
)

// counterLines describes what is counted of each link in a line, with shortened names.
func counterLines(g graph.Graph, shorten *strings.Replacer) []string {
	names := make(map[string]string)
	for _, n := range g.Nodes {
		names[n.ID] = shorten.Replace(n.Name)
	}
	var lines []string
	for _, l := range g.Links {
		if c := l.Counters; c != nil {
			lines = append(lines, fmt.Sprintf("%s > %s:%s %s opened %d failed %d refused %d sent %d received %d",
				names[l.Client], names[l.Server], l.ServerPort(), l.Via, c.Opened, c.Failed, c.Refused, c.BytesSent, c.BytesReceived))
		}
	}
	slices.Sort(lines)
	return lines
}

// countingCommand starts a daemon that may hear the events of all network namespaces, and nothing else above level 3.
const countingCommand = "--network host --cgroupns host --user 0 --cap-drop ALL --cap-add NET_BROADCAST --read-only --security-opt no-new-privileges -v /proc:/host/proc:ro"

// Every connection of each kind of network is counted with its bytes, however short, and failed dials too.
func TestCountedConnections(t *testing.T) {
	l := newLab(t)
	if err := l.Network(t.Context(), "net"); err != nil {
		t.Fatal(err)
	}
	own := []string{"--network", l.Name("net")}
	l.peer("server", []string{"-p", l.port(1) + ":80", "-p", l.port(3) + ":53/udp"}, "reply:tcp4:0.0.0.0:80", "echo:udp4:0.0.0.0:53")
	l.peer("db", own, "reply:tcp:[::]:5432")
	l.peer("sidecar", []string{"--network", "container:" + l.Name("db")}, "reply:tcp4:0.0.0.0:90")
	t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "rm", "-f", l.Name("sidecar")) })
	l.peer("agent", []string{"--network", "host"}, "reply:tcp4:0.0.0.0:"+l.port(2), "echo:udp4:0.0.0.0:"+l.port(2))
	arguments := append(strings.Fields(countingCommand), "-e", "OUTPOST_LISTEN=127.0.0.1:"+l.port(0), "-e", "OUTPOST_SAMPLE_INTERVAL=1s",
		"-v", engineSocket(t)+":/var/run/docker.sock", outpostImage(t))
	l.run("outpost", arguments...)
	o := l.answering("outpost", l.firstPort)
	eventually(t, func() bool { return strings.Contains(l.logs("outpost"), "Counting connections") })
	report, _ := exec.CommandContext(t.Context(), "docker", "exec", l.Name("outpost"), "/outpost", "doctor").Output() // 1: owners are unknown
	if !strings.Contains(string(report), "all connections of the host and its containers are counted") {
		t.Errorf("%s", report)
	}

	gateway := l.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", l.Name("server"))
	l.peer("client", nil, "order:1000:"+l.address("server")+":80", "ask:500:"+l.address("server")+":53", "knock:3:"+l.address("server")+":81")
	l.peer("caller", nil, "order:100:"+gateway+":"+l.port(1), "ask:60:"+gateway+":"+l.port(3))
	l.peer("web", own, "order:200:"+l.Name("db")+":5432", "knock:2:"+l.Name("db")+":81")
	l.peer("self", nil, "reply:tcp4:127.0.0.1:90", "order:1:"+l.address("server")+":80", "order:50:127.0.0.1:90")
	l.peer("hasty", nil, "abort:40:"+l.address("server")+":80")
	l.peer("near", nil, "order:70:"+gateway+":"+l.port(2), "ask:40:"+gateway+":"+l.port(2))
	l.peer("asker", own, "order:1:"+l.address("db")+":5432", "resolve:30:"+l.Name("db"))
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	shorten := strings.NewReplacer(l.Name(""), "", host, "HOST")
	o.expectLines(func() []string {
		return slices.DeleteFunc(counterLines(o.graph("?dns=show"), shorten), func(line string) bool {
			return strings.Contains(line, " > outpost:") || strings.HasPrefix(line, "web > HOST:53/udp") // of the test itself, and by the way
		})
	}, []string{
		"client > server:80 direct opened 1000 failed 0 refused 0 sent 100000 received 300000",
		"client > server:81 direct opened 0 failed 3 refused 3 sent 0 received 0",
		"hasty > server:80 direct opened 40 failed 0 refused 0 sent 4000 received 12000",
		"caller > server:80 published opened 100 failed 0 refused 0 sent 10000 received 30000",
		"self > server:80 direct opened 1 failed 0 refused 0 sent 100 received 300",
		"self > self:90 loopback opened 50 failed 0 refused 0 sent 5000 received 15000",
		"web > db or sidecar:5432 direct opened 200 failed 0 refused 0 sent 20000 received 60000",
		"web > db:81 direct opened 0 failed 2 refused 2 sent 0 received 0",
		"client > server:53/udp direct opened 500 failed 0 refused 0 sent 0 received 0",
		"caller > server:53/udp published opened 60 failed 0 refused 0 sent 0 received 0",
		"near > agent:" + l.port(2) + "/udp host opened 40 failed 0 refused 0 sent 0 received 0",
		"asker > db or sidecar:5432 direct opened 1 failed 0 refused 0 sent 100 received 300",
		"asker > HOST:53/udp resolver opened 30 failed 0 refused 0 sent 0 received 0",
		"near > agent:" + l.port(2) + " host opened 70 failed 0 refused 0 sent 7000 received 21000",
	})
}
