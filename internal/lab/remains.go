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

// remove kills what still runs of the engine and removes what it made, also what another process's engine left.
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
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
		return err
	})
	return errors.Join(err, retry(ctx, func() error { return removeCgroups(containers) }))
}

// processes lists those that see the engine's /run, which are the daemon, its children, the containers' shims and
// what runs by Command, and those in the containers' cgroups.
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
		// Neither can be read of a process that has ended; and a zombie has no mounts.
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

// dockerCgroups returns the paths of the cgroups that engines put their containers' cgroups in: one on cgroup v2, one
// of each controller on v1. Engines of the lab have them in common with the machine's.
func dockerCgroups() []string {
	v2, _ := filepath.Glob("/sys/fs/cgroup/docker") // the one error is that of a bad pattern
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/docker")
	return append(v2, v1...)
}

// removeCgroups removes those of containers whose processes were killed, which nobody else does.
func removeCgroups(containers []string) error {
	var errs []error
	for _, parent := range dockerCgroups() {
		for _, id := range containers {
			var directories []string
			err := filepath.WalkDir(filepath.Join(parent, id), func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					directories = append(directories, path)
				}
				return ignore(err, fs.ErrNotExist)
			})
			errs = append(errs, err)
			for _, directory := range slices.Backward(directories) {
				errs = append(errs, ignore(os.Remove(directory), fs.ErrNotExist))
			}
		}
	}
	return errors.Join(errs...)
}

// sweep removes what remained of engines that nobody has any more.
func sweep(ctx context.Context) error {
	directories, err := filepath.Glob(filepath.Join(shared(), "lab-*"))
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
