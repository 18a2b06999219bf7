package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const systemdUnit = "outpost.service"

// settings returns the values of a key of a systemd unit, in order.
func settings(t *testing.T, path, key string) []string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			values = append(values, strings.TrimSpace(value))
		}
	}
	return values
}

// systemd accepts the unit. No systemd has to run for that.
func TestSystemdUnit(t *testing.T) {
	if binary == "" {
		t.Skip("no Docker engine answers")
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("no systemd-analyze: .ci/engine start test installs it")
	}
	unit := deployment(t, systemdUnit, "/usr/local/bin/outpost", binary)
	command := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit)
	if output, err := command.CombinedOutput(); err != nil || strings.Contains(string(output), systemdUnit+":") {
		t.Errorf("%v: %s", err, output)
	}
}

// The unit's command line serves the map with the unit's variables and rights: a user without capabilities, in the group of
// the Docker socket.
func TestSystemdUnitRuns(t *testing.T) {
	l := newLab(t)
	if os.Getuid() != 0 {
		t.Skip("another user's process needs root")
	}
	unit := deployment(t, systemdUnit, "/usr/local/bin/outpost", readableBinary(t))
	start := settings(t, unit, "ExecStart")
	if len(start) != 1 {
		t.Fatalf("ExecStart: %q", start)
	}
	if got := settings(t, unit, "CapabilityBoundingSet"); !slices.Equal(got, []string{""}) {
		t.Errorf("capabilities %q", got)
	}
	variables := settings(t, unit, "Environment")
	if !slices.Equal(variables, []string{"OUTPOST_LISTEN=:9057"}) {
		t.Errorf("variables %q", variables)
	}
	variables = append(variables, "OUTPOST_LISTEN=127.0.0.1:0") // a free port
	args := append([]string{"--reuid", "65534", "--regid", socketGroup(t, engineSocket(t)), "--clear-groups", "--bounding-set=-all", "--no-new-privs"}, strings.Fields(start[0])...)
	o := startCommand(t, exec.Command("setpriv", args...), variables...) //nolint:noctx // it is ended with SIGTERM
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	a := o.connections()
	if a.incomplete(l.Name("server")) {
		t.Errorf("Outpost-Incomplete: %s", a.header.Get("Outpost-Incomplete"))
	}
	if c := o.snapshot().container(t, l.Name("server")); c.Method != "procfs" {
		t.Errorf("read by %s, want procfs: %v", c.Method, c.Unused)
	}
}

// readableBinary copies the daemon to a path where any user can run it.
func readableBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(sharedDirectory(t), "outpost")
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
