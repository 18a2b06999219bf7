package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// startScene starts containers with one network of each kind: a published server and its client, two that share a network namespace, and one
// on the host's network that dials the published port.
func (l *testLab) startScene() {
	l.t.Helper()
	l.peer("scene-server", []string{"-p", l.port(1) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("scene-client", nil, "dial:2:"+l.address("scene-server")+":80")
	l.peer("scene-owner", nil, "listen:tcp4:0.0.0.0:81")
	l.peer("scene-joined", []string{"--network", "container:" + l.Name("scene-owner")}, "dial:1:127.0.0.1:81")
	l.t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(l.t.Context()), "rm", "-f", l.Name("scene-joined")) }) // Podman requires the order
	l.peer("scene-agent", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(2), "dial:1:127.0.0.1:"+l.port(1))
}

// expectScene expects the same answer on each engine of a daemon that a command started. Addresses and ephemeral ports differ. Without the
// rights to find the owners of sockets in shared namespaces, these containers are incomplete.
func (l *testLab) expectScene(a *answer, command string) {
	l.t.Helper()
	readsProc, isRoot := strings.Contains(command, "/host/proc"), !strings.Contains(command, "--user")
	knowsOwners := !readsProc || isRoot
	knowsHosts := knowsOwners || strings.Contains(command, "--network host") && l.onCgroupV2() // by cgroup
	isKnown := map[string]bool{"server": true, "client": true, "owner": knowsOwners, "joined": knowsOwners, "agent": knowsHosts}
	for part, want := range map[string]string{
		"server": "[published] 3 [*]", "client": "[] 2 [80]", "owner": "[] 1 [*]", "joined": "[] 1 [81]", "agent": "[agent] 1 [published]",
	} {
		c, listed := a.containers["/"+l.Name("scene-"+part)]
		isComplete := !a.incomplete(l.Name("scene-" + part))
		got := fmt.Sprint(l.scenePorts(c.Listening), len(c.Established), " ", l.scenePorts(c.Established))
		if !listed || isComplete != isKnown[part] || isComplete && got != want {
			l.t.Errorf("%s%s: complete %t, %q, want %q", command, part, isComplete, got, want)
		}
	}
}

// scenePorts returns the different ports of endpoints, with names for those that differ between engines.
func (l *testLab) scenePorts(endpoints []endpoint) []string {
	const firstEphemeral = 32768
	var ports []string
	for _, e := range endpoints {
		port := fmt.Sprint(e.Port)
		if e.Port >= firstEphemeral {
			port = "*"
		}
		ports = append(ports, strings.NewReplacer(l.port(1), "published", l.port(2), "agent").Replace(port))
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}
