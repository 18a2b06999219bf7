package hostproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// PIDs maps a container's ID to the PIDs of its processes. The key "" holds the processes of Outpost's own container
// if Outpost cannot see that container's ID.
type PIDs map[string][]int

// PIDs returns the processes of all containers. It reads every process once: a container's first process is not the
// ancestor of all others, for example of an exec's.
func (f FS) PIDs(ctx context.Context) (PIDs, error) {
	self, err := f.Self()
	if err != nil {
		return nil, err
	}
	defer func() { _ = self.Close() }()
	directory, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = directory.Close() }()
	pids := make(PIDs)
	err = eachName(ctx, directory, func(name string) error {
		pid, err := strconv.Atoi(name)
		if err != nil {
			return nil //nolint:nilerr // not a process
		}
		cgroups, err := readAt(directory, filepath.Join(name, "cgroup"))
		if err != nil {
			return nil //nolint:nilerr // the process exited, or is hidden
		}
		ids := containerIDs(cgroups)
		for _, id := range ids {
			pids[id] = append(pids[id], pid)
		}
		if len(ids) == 0 && cgroups == self.cgroups && f.hasMountsOf(name, self) {
			pids[""] = append(pids[""], pid)
		}
		return nil
	})
	return pids, err
}

func (f FS) hasMountsOf(name string, self *Process) bool {
	p, err := f.open(name)
	if err != nil {
		return false
	}
	defer func() { _ = p.Close() }()
	return p.hasMountsOf(self)
}

// eachName calls do with each name in a directory until do fails or ctx ends.
func eachName(ctx context.Context, directory *os.File, do func(name string) error) error {
	const batchSize = 1024
	for {
		names, err := directory.Readdirnames(batchSize)
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", directory.Name(), ctx.Err())
		}
	}
}
