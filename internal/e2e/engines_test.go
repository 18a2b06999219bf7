package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// testEngine is an engine for one test, with the tools image and a lab on it.
type testEngine struct {
	*testLab
	*lab.Engine
	ip   string
	port string // of the daemon that start starts
}

// newEngine returns an engine that ends with the test. Unlike newLab it requires root.
func newEngine(t testing.TB, address string, options lab.EngineOptions) *testEngine {
	t.Helper()
	l := newLab(t)
	if os.Geteuid() != 0 {
		failInCI(t, "a lab's own engine needs root")
	}
	engine, err := lab.StartEngine(t.Context(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	ip, _, _ := strings.Cut(address, "/")
	return loaded(t, l, engine, ip)
}

// loaded returns an engine with the tools image and a lab on it. It ends with the test.
func loaded(t testing.TB, l *testLab, engine *lab.Engine, ip string) *testEngine {
	t.Helper()
	t.Cleanup(func() {
		if err := engine.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := engine.Load(t.Context(), tools); err != nil {
		t.Fatal(err)
	}
	return &testEngine{&testLab{lab.OnHost(engine.Host(), l.Name("other"), nil), t, l.firstPort}, engine, ip, "9057"}
}

// inside runs a command in the engine's namespaces and returns its output.
func (e *testEngine) inside(args ...string) string {
	e.t.Helper()
	output, err := e.Command(e.t.Context(), args...).CombinedOutput()
	if err != nil {
		e.t.Fatalf("%s: %v: %s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

func TestLabEngineLeavesNothingBehind(t *testing.T) {
	before := remains(t)
	a := newEngine(t, "10.77.0.11/24", lab.EngineOptions{})
	b := newEngine(t, "10.77.0.12/24", lab.EngineOptions{CgroupV2: true})
	if during := remains(t); slices.Equal(before, during) {
		t.Error("remains finds nothing of two running engines")
	}

	const cgroupVersion = "{{.CgroupVersion}}"
	machine := newLab(t).docker("info", "-f", cgroupVersion)
	if got := a.docker("info", "-f", cgroupVersion); got != machine {
		t.Errorf("the engine without options has cgroup v%s, want the machine's v%s", got, machine)
	}
	if got := b.docker("info", "-f", cgroupVersion); got != "2" {
		t.Errorf("the engine on cgroup v2 has cgroup v%s", got)
	}

	const listen80 = "listen:tcp4:0.0.0.0:80"
	a.peer("server", []string{"-p", "8080:80"}, listen80)
	b.peer("server", []string{"-p", "8080:80"}, listen80)
	a.peer("client", nil, "dial:2:10.77.0.12:8080")
	b.peer("client", nil, "dial:1:10.77.0.11:8080")
	id := b.peer("host", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:7000")
	if listeners := b.inside("ss", "-tlnH", "--cgroup"); !regexp.MustCompile(`:7000 .*/docker/` + id).MatchString(listeners) {
		t.Errorf("no listener at port 7000 with the cgroup of %s among\n%s", id, listeners)
	}
	if got, want := a.inside("docker", "ps", "-q"), a.docker("ps", "-q"); got != want {
		t.Errorf("inside its namespaces the engine lists %s, want %s", got, want)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", "10.77.0.12:8080")
	if err != nil {
		t.Error("from the machine:", err)
	} else {
		_ = conn.Close()
	}

	processes := append(a.processes(), b.processes()...)
	var containers []string
	for _, e := range []*testEngine{a, b} {
		containers = append(containers, strings.Fields(e.docker("ps", "-q", "--no-trunc"))...)
	}
	// One engine ends regularly. The other is killed and leaves its containers behind.
	kill := exec.CommandContext(t.Context(), "kill", "-KILL", b.inside("cat", "/run/docker.pid"))
	if output, err := kill.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
	for _, e := range []*testEngine{a, b} {
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if after := remains(t); !slices.Equal(before, after) {
		t.Errorf("left behind: %q, before there was %q", after, before)
	}
	for _, process := range processes {
		if _, err := os.Readlink(filepath.Join(process, "ns", "mnt")); err == nil { // a zombie has none
			comm, _ := os.ReadFile(filepath.Join(process, "comm")) // it may end now
			t.Errorf("%s %s still runs", process, comm)
		}
	}
	for _, id := range containers {
		v2, _ := filepath.Glob("/sys/fs/cgroup/docker/" + id) // the pattern is good
		v1, _ := filepath.Glob("/sys/fs/cgroup/*/docker/" + id)
		if left := append(v2, v1...); len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
	}
}

// processes returns the /proc directories of the engine's processes and of the first process of each container.
func (e *testEngine) processes() []string {
	e.t.Helper()
	var processes []string
	for pid := range strings.FieldsSeq(e.docker(append([]string{"inspect", "-f", "{{.State.Pid}}"}, strings.Fields(e.docker("ps", "-q"))...)...)) {
		processes = append(processes, "/proc/"+pid)
	}
	namespace := e.inside("readlink", "/proc/self/ns/mnt")
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, process := range all {
		if ns, err := os.Readlink(filepath.Join(process, "ns", "mnt")); err == nil && ns == namespace {
			processes = append(processes, process)
		}
	}
	return processes
}

// remains lists what the engines of a lab create on the machine: files, interfaces, mounts and firewall rules.
func remains(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.TempDir(), "outpost-lab", "*"))
	if err != nil {
		t.Fatal(err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if strings.Contains(i.Name, "lab-") || strings.Contains(i.Name, "-lab") {
			found = append(found, "interface "+i.Name)
		}
	}
	for file, command := range map[string][]string{"mounts": {"cat", "/proc/self/mountinfo"}, "rules": {"iptables", "-w", "-S"}, "IPv6 rules": {"ip6tables", "-w", "-S"}} {
		output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
		if err != nil {
			continue // without root there is no engine
		}
		for line := range strings.Lines(string(output)) {
			if strings.Contains(line, "outpost-lab") {
				found = append(found, fmt.Sprint(file, ": ", line))
			}
		}
	}
	slices.Sort(found)
	return found
}
