package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The daemon has few descriptors. First idle clients hold their share, then hardly any are left for a collection. Requests get
// answers, unread containers are incomplete, and the daemon recovers completely.
func TestRecoversFromDescriptorExhaustion(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const containers, descriptors = 8, 240
	const idlers = descriptors / 4 * 3 / 2 // a quarter of the descriptors is for clients
	var checks []check
	var names []string
	for i := range containers {
		names = append(names, l.Name(fmt.Sprint("it", i)))
		checks = append(checks, hasEndpoints(names[i], nil, nil))
		l.run(fmt.Sprint("it", i), "--network", "none", tools, "peer", "listen:tcp4:0.0.0.0:80")
	}
	correct := allOf(checks...)
	limited := exec.Command("sh", "-c", fmt.Sprintf("ulimit -n %d; exec %s", descriptors, releaseBinary(t))) //nolint:noctx // it is ended with SIGTERM
	o := startCommand(t, limited, interfaces, profiled)
	o.awaitRecovery(requireComplete(correct, names...))
	before := o.usage()
	var dialer net.Dialer
	var idle []net.Conn
	for range idlers {
		conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(o.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	p := startPollers(o, 4, correct)
	time.Sleep(25 * time.Second) // the server closes each idle connection after 10 s
	tally := p.end()
	t.Log(tally)
	if tally.requests == tally.unavailable {
		t.Errorf("%s\n%s", tally, o.logged())
	}
	for _, conn := range idle {
		_ = conn.Close()
	}
	o.awaitRecovery(requireComplete(correct, names...))

	var short atomic.Int64
	p = startPollers(o, 4, func(a *answer, began, ended time.Time) error {
		if slices.ContainsFunc(names, a.incomplete) {
			short.Add(1)
		}
		return correct(a, began, ended)
	})
	const kept = containers * 6 // each has a directory, four counters and a netlink socket open
	o.limitDescriptors(o.descriptors()-kept+2, descriptors)
	for _, name := range names { // an event closes what is kept
		l.docker("pause", name)
		l.docker("unpause", name)
	}
	time.Sleep(5 * time.Second)
	o.limitDescriptors(descriptors, descriptors)
	tally = p.end()
	t.Logf("%s, %d short of descriptors", tally, short.Load())
	if tally.unavailable == 0 && short.Load() == 0 {
		t.Errorf("no request ran out of descriptors:\n%s", o.logged())
	}
	o.awaitRecovery(requireComplete(correct, names...))
	o.expectUsage(before)
}

// limitDescriptors sets the limits of open descriptors of the running daemon.
func (o *outpost) limitDescriptors(soft, hard int) {
	o.t.Helper()
	limit := unix.Rlimit{Cur: uint64(soft), Max: uint64(hard)}
	if err := unix.Prlimit(o.process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		o.t.Fatal(err)
	}
}

// A daemon with 64 MiB answers about 20,000 sockets completely. Of 120,000 it answers those that fit, and says what is missing.
// Small containers beside large ones stay complete. The test does not run in parallel: daemons of other tests would remember
// these connections.
func TestManySocketsFitInMemoryLimit(t *testing.T) {
	l := newLab(t)
	l.connectMany("", 10_000)
	t.Run("20,000", func(t *testing.T) {
		startLimited(t).pollAll(10, func(a *answer, _, _ time.Time) error {
			return a.expectCounts(l.Name("client"), 0, 10_000)
		})
	})
	l.peer("small-server", []string{"-p", "127.0.0.1:" + l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("small-client", nil, fmt.Sprintf("dial:1:%s:80", l.address("small-server")))
	const connections = 17_000 // a process may open 20,000 descriptors
	for _, suffix := range []string{"-2", "-3", "-4"} {
		l.connectMany(suffix, connections)
	}
	for _, method := range []string{"procfs", "sockdiag"} {
		t.Run("120,000 with "+method, func(t *testing.T) {
			o := startLimited(t, "OUTPOST_COLLECTOR="+method)
			o.pollAll(3, func(a *answer, _, _ time.Time) error {
				if !a.incomplete(l.Name("client-2")) || !a.incomplete(l.Name("server-3")) {
					return fmt.Errorf("incomplete: %s", a.header.Get("Outpost-Incomplete"))
				}
				return errors.Join(a.expectCounts(l.Name("small-server"), 1, 1), a.expectCounts(l.Name("small-client"), 0, 1))
			})
			for _, part := range []string{"server-2", "server-3", "server-4"} {
				c := o.snapshot().container(t, l.Name(part))
				if !strings.Contains(c.Reason, "memory limit of 64 MiB") || !slices.Contains(c.listens(), "0.0.0.0 80") || len(c.Connections) == 0 {
					t.Errorf("%s: reason %q, listeners %v, %d connections", part, c.Reason, c.listens(), len(c.Connections))
				}
			}
		})
	}
}

// connectMany starts a server, and a client with n connections to it. suffix is part of their names.
func (l *testLab) connectMany(suffix string, n int) {
	l.t.Helper()
	l.peer("server"+suffix, nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client"+suffix, nil, fmt.Sprintf("dial:%d:%s:80", n, l.address("server"+suffix)))
}

// startLimited starts a daemon with a memory limit of 64 MiB. The test fails if the kernel kills it.
func startLimited(t *testing.T, variables ...string) *outpost {
	t.Helper()
	group := newMemoryCgroup(t, 64<<20)
	command := exec.Command("sh", "-c", "echo $$ >"+group+"/cgroup.procs; exec "+releaseBinary(t)) //nolint:noctx // it is ended with SIGTERM
	return startCommand(t, command, append(variables, interfaces)...)
}

// newMemoryCgroup returns a cgroup with a limit of memory in bytes, of cgroup v2 or else v1. An engine without the controller ignores
// the limit of a container.
func newMemoryCgroup(t *testing.T, limit int) (directory string) {
	t.Helper()
	root, file := "/sys/fs/cgroup", "memory.max"
	if controllers, _ := os.ReadFile(root + "/cgroup.controllers"); !strings.Contains(string(controllers), "memory") {
		root, file = t.TempDir(), "memory.limit_in_bytes"
		if err := unix.Mount("cgroup", root, "cgroup", 0, "memory"); err != nil {
			failInCI(t, fmt.Sprintf("no cgroup of memory: %v", err))
		}
		t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	}
	directory, err := os.MkdirTemp(root, "outpost-e2e-") //nolint:usetesting // it is a cgroup
	if err != nil {
		failInCI(t, fmt.Sprintf("no cgroup of memory: %v", err))
	}
	t.Cleanup(func() {
		eventually(t, func() bool { return os.Remove(directory) == nil }) // once its processes have ended
	})
	if err := os.WriteFile(filepath.Join(directory, file), []byte(strconv.Itoa(limit)), 0); err != nil {
		t.Fatal(err)
	}
	return directory
}

// pollAll polls /connections with some clients, and all other large documents, for some seconds. Each answer must be 200.
func (o *outpost) pollAll(clients int, check check) {
	o.t.Helper()
	p := startPollersAllowing(o, clients, check, func(time.Time, time.Time) bool { return false })
	for limit := time.Now().Add(4 * time.Second); time.Now().Before(limit); {
		for _, route := range []string{"/v1/snapshot", "/v1/graph", "/metrics"} {
			if a := o.get(route); a.status != 200 {
				o.t.Errorf("%s: %d", route, a.status)
			}
		}
	}
	o.t.Log(p.end())
}

// expectCounts returns an error unless the answer has a complete container with so many endpoints.
func (a *answer) expectCounts(name string, listening, established int) error {
	c := a.containers["/"+name]
	if a.incomplete(name) || len(c.Listening) != listening || len(c.Established) != established {
		return fmt.Errorf("%s: incomplete %v, %d listening, %d established", name, a.incomplete(name), len(c.Listening), len(c.Established))
	}
	return nil
}
