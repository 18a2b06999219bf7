package collect

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Neither command starts another process: both work where the limit of processes leaves room for one alone.
func TestCommandsDoNotFork(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root makes cgroups")
	}
	cgroup := cgroupOf(t, id("one"))
	if err := os.WriteFile(filepath.Join(cgroup, "pids.max"), []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	run := func(command ...string) (string, error) {
		const join = `echo $$ >"$0"/cgroup.procs && exec "$@"`
		output, err := exec.CommandContext(t.Context(), "sh", append([]string{"-c", join, cgroup}, command...)...).CombinedOutput()
		return string(output), err
	}
	if output, err := run("sh", "-c", "true | true"); err == nil {
		t.Fatalf("a process can be started: %s", output)
	}
	for i, want := range []string{"local_address", "/proc/1/fd:"} {
		output, err := run(Commands()[i]...)
		if _, ended := errors.AsType[*exec.ExitError](err); ended && i == 1 { // of processes that end meanwhile ls complains
			err = nil
		}
		if err != nil || !strings.Contains(output, want) || strings.Contains(output, "fork") {
			t.Errorf("%v: %v, %.500s", Commands()[i], err, output)
		}
	}
}
