package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Each access level, started as documented, has the effects that internal/deploy/README.md promises.
func TestAccessLevels(t *testing.T) {
	l := newLab(t)
	const listen80 = "listen:tcp4:0.0.0.0:80"
	l.run("scratch", "-p", l.port(1)+":80", bare, "/peer", listen80)
	l.peer("paused", []string{"-p", l.port(2) + ":80"}, listen80)
	l.docker("pause", l.Name("paused"))
	t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "unpause", l.Name("paused")) })
	l.peer("well", []string{"-p", l.port(3) + ":80"}, listen80)
	l.peer("root", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(5))
	l.peer("user", []string{"--network", "host", "-u", "1000"}, "listen:tcp4:0.0.0.0:"+l.port(4))

	levels := slices.DeleteFunc(blocks(t, "internal/deploy/README.md"), func(command string) bool { return !isDockerRun(command) })
	if len(levels) != 4 {
		t.Fatalf("%d levels", len(levels))
	}
	for i, level := range levels {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			l := &testLab{l.Lab, t, l.firstPort}
			l.shell(level)
			t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "rm", "-f", l.Name("outpost")) })
			o := l.answering("outpost", l.firstPort)
			a := o.connections()
			for _, part := range []string{"scratch", "paused"} {
				if a.incomplete(l.Name(part)) != (i == 0) {
					t.Errorf("%s incomplete: %v", part, a.incomplete(l.Name(part)))
				}
			}
			if a.incomplete(l.Name("well")) {
				t.Errorf("Outpost-Incomplete: %s", a.header.Get("Outpost-Incomplete"))
			}
			method := []string{"exec", "procfs", "procfs", "sockdiag"}[i]
			s := o.snapshot()
			if c := s.container(t, l.Name("well")); c.Method != method {
				t.Errorf("read by %s, want %s; unused %v", c.Method, method, c.Unused)
			}
			// On cgroup v2 cgroups show owners to a daemon on the host's network.
			byCgroup := i >= 2 && l.onCgroupV2()
			l.checkDoctor(i, byCgroup)
			if i == 0 {
				if len(l.execs()) == 0 {
					t.Error("no command ran, or no event reported it")
				}
				return
			}
			if len(s.Host.Addresses) == 0 || a.containers["/"+l.Name("well")].Listening[0].Address == "0.0.0.0" {
				t.Errorf("addresses %v, listening %v", s.Host.Addresses, a.containers["/"+l.Name("well")].Listening)
			}
			// Otherwise only descriptors show owners on the host's network: with the capabilities those of root.
			if root := s.container(t, l.Name("root")); (root.Status == "ok") != (i == 3 || byCgroup) {
				t.Errorf("%s: %s", root.Status, root.Reason)
			}
			user := s.container(t, l.Name("user"))
			if (user.Status == "ok") != byCgroup || strings.Contains(user.Reason, "CAP_DAC_READ_SEARCH") == byCgroup {
				t.Errorf("%s: %s", user.Status, user.Reason)
			}
			since := time.Now()
			for range 100 {
				o.connections()
			}
			for _, line := range l.execs() {
				if at, err := strconv.ParseInt(strings.Fields(line)[0], 10, 64); err != nil || at > since.UnixNano() {
					t.Errorf("a poll ran a command: %s", line)
				}
			}
		})
	}
}

// checkDoctor compares the doctor's report with what is missing at an access level, counted from 0.
func (l *testLab) checkDoctor(level int, byCgroup bool) {
	l.t.Helper()
	output, err := exec.CommandContext(l.t.Context(), "docker", "exec", l.Name("outpost"), "/outpost", "doctor").CombinedOutput()
	report := regexp.MustCompile(` +`).ReplaceAllString(string(output), " ") // the width of the first column depends on its longest name
	failed, ok := errors.AsType[*exec.ExitError](err)
	if found := ok && failed.ExitCode() == 1; found == byCgroup {
		l.t.Errorf("level %d: %v:\n%s", level+1, err, report)
	}
	withoutOwners := slices.DeleteFunc([]int{1, 2, 3}, func(other int) bool { return byCgroup && other == level })
	for part, levels := range map[string][]int{
		"engine ": {0, 1, 2, 3}, "API 1.": {0, 1, 2, 3}, "running containers: 6": {0, 1, 2, 3}, "set OUTPOST_TOKEN_FILE or OUTPOST_WEB_CONFIG": {0, 1, 2, 3},
		"-v /proc:/host/proc:ro or --pid host": {0}, "-v /proc": {0}, "--user 0": {1, 2}, "the image has no cat": {0}, "the container is paused": {0},
		"procfs works": {1, 2, 3}, "exec not needed": {1, 2, 3},
		"the host's /proc is not visible": {0}, "only the host's network namespace hears": {1}, "all connections of the host are counted": {2, 3},
		"--cap-add NET_BROADCAST":                  {0, 1, 2, 3},
		"it would add netlink for every container": {0, 1, 2}, "--cap-add SYS_PTRACE --cap-add SYS_ADMIN": {0, 1, 2}, "SYS_ADMIN are missing": {1, 2},
		"group 0 is missing": {1, 2}, "the kernel's table is readable": {3},
		"sockdiag works\n": {3}, "CAP_DAC_READ_SEARCH": withoutOwners,
	} {
		if strings.Contains(report, part) != slices.Contains(levels, level) {
			l.t.Errorf("level %d: want %q at the levels %v (from 0) only:\n%s", level+1, part, levels, report)
		}
	}
}

// execs returns the commands that ran in the lab's containers. It omits Outpost's own container, where the engine checks
// the health.
func (l *testLab) execs() []string {
	l.t.Helper()
	now := time.Now()
	until := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()) // a duration has whole seconds only
	events := l.docker("events", "--since", "1h", "--until", until, "--filter", "event=exec_create", "--format", "{{.TimeNano}} {{.Actor.Attributes.name}} {{.Action}}")
	var execs []string
	for line := range strings.Lines(events) {
		if name := strings.Fields(line)[1]; strings.HasPrefix(name, l.Name("")) && name != l.Name("outpost") {
			execs = append(execs, strings.TrimSpace(line))
		}
	}
	return execs
}
