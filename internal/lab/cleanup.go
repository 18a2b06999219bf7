package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// remove kills the processes of the engine and removes what it made. It also works for an engine of a process that ended.
func (e *Engine) remove(ctx context.Context) error {
	err := errors.Join(removeLink(ctx, e.id), e.kill(ctx), os.RemoveAll(e.directory), e.lock.Close())
	e.lock = nil
	return errors.Join(err, removeShared(ctx))
}

func (e *Engine) kill(ctx context.Context) error {
	containers, err := filepath.Glob(filepath.Join(e.directory, "data", "containers", "*"))
	if err != nil {
		return err
	}
	for i, path := range containers {
		containers[i] = filepath.Base(path) // the ID
	}
	err = retry(ctx, func() error {
		pids, err := e.processes(containers)
		for _, pid := range pids {
			err = fmt.Errorf("process %d still runs", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended already
		}
		return err
	})
	return errors.Join(err, retry(ctx, func() error { return errors.Join(removeCgroups(containers), e.removeOwnCgroups()) }))
}

// processes returns the IDs of the processes that see the engine's /run or are in a cgroup of its containers. The former are
// the daemon, its children, the shims of the containers, and the processes of Command.
func (e *Engine) processes(containers []string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Neither file can be read after a process has ended. A zombie has no mounts.
		mounts, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "mountinfo"))
		if err != nil || len(mounts) == 0 {
			continue
		}
		cgroups, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if err != nil {
			continue
		}
		isIn := func(id string) bool { return bytes.Contains(cgroups, []byte("/docker/"+id)) }
		if bytes.Contains(mounts, []byte(" - tmpfs "+e.id+" ")) || slices.ContainsFunc(containers, isIn) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// dockerCgroups returns the parents of container cgroups: one on cgroup v2, one for each controller on v1. Engines of the lab
// share them with the machine's engine.
func dockerCgroups() []string {
	v2, _ := filepath.Glob("/sys/fs/cgroup/docker") // fails only for a bad pattern
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/docker")
	return append(v2, v1...)
}

// removeCgroups removes the cgroups of killed containers. A killed engine leaves them behind.
func removeCgroups(containers []string) error {
	var errs []error
	for _, parent := range dockerCgroups() {
		for _, id := range containers {
			errs = append(errs, removeCgroup(filepath.Join(parent, id)))
		}
	}
	return errors.Join(errs...)
}

// removeCgroup removes a cgroup and those below it. They have no processes.
func removeCgroup(root string) error {
	var directories []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			directories = append(directories, path)
		}
		return ignoreErrors(err, fs.ErrNotExist)
	})
	errs := []error{err}
	for _, directory := range slices.Backward(directories) {
		errs = append(errs, ignoreErrors(os.Remove(directory), fs.ErrNotExist))
	}
	return errors.Join(errs...)
}

// removeAbandoned removes what is left of engines of processes that have ended.
func removeAbandoned(ctx context.Context) error {
	directories, err := filepath.Glob(filepath.Join(sharedDirectory(), "lab-*"))
	errs := []error{err}
	for _, directory := range directories {
		held, err := lock(directory)
		if err != nil {
			continue
		}
		e := &Engine{id: filepath.Base(directory), directory: directory, lock: held}
		errs = append(errs, e.remove(ctx))
	}
	return errors.Join(errs...)
}
