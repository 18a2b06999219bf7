package collect

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands work under a limit of one process: neither starts another.
func TestCommandsDoNotFork(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root to create cgroups")
	}
	cgroup := newCgroup(t, id("one"))
	if err := os.WriteFile(filepath.Join(cgroup, "pids.max"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	run := func(command ...string) (string, error) {
		const join = `echo $$ >"$0"/cgroup.procs && exec "$@"`
		output, err := exec.CommandContext(t.Context(), "sh", append([]string{"-c", join, cgroup}, command...)...).CombinedOutput()
		return string(output), err
	}
	if output, err := run("sh", "-c", "true | true"); err == nil {
		t.Fatalf("the limit does not hold, a process was started: %s", output)
	}
	for i, want := range []string{"+-- 0.0.0.0/0", "local_address", "/proc/1/fd:"} {
		output, err := run(Commands()[i]...)
		if _, exited := errors.AsType[*exec.ExitError](err); exited && i == 2 { // ls fails on processes that end meanwhile
			err = nil
		}
		if err != nil || !strings.Contains(output, want) || strings.Contains(output, "fork") {
			t.Errorf("%v: %v, %.500s", Commands()[i], err, output)
		}
	}
}
