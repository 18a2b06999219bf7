package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Freeze suspends the engine's daemon until Thaw. Its containers continue to run.
func (e *Engine) Freeze() error { return e.daemon.Process.Signal(syscall.SIGSTOP) }

// Thaw resumes a frozen daemon.
func (e *Engine) Thaw() error { return e.daemon.Process.Signal(syscall.SIGCONT) }

// Kill sends SIGKILL to the engine's daemon. restart starts it again in the same namespaces.
func (e *Engine) Kill() (restart func(context.Context) error, err error) {
	var namespaces []*os.File
	for _, name := range []string{"net", "mnt"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", e.daemon.Process.Pid, name))
		if err != nil {
			return nil, err
		}
		namespaces = append(namespaces, file)
	}
	if err := e.daemon.Process.Kill(); err != nil {
		return nil, err
	}
	<-e.ended
	return func(ctx context.Context) error {
		// A daemon that finds the containerd of its killed predecessor while that is ending too exits.
		err := retry(ctx, func() error { return errors.Join(e.startIn(ctx, namespaces), e.awaitReady(ctx)) })
		return errors.Join(err, namespaces[0].Close(), namespaces[1].Close())
	}, nil
}

// startIn starts the daemon in existing network and mount namespaces.
func (e *Engine) startIn(ctx context.Context, namespaces []*os.File) error {
	log, err := os.OpenFile(filepath.Join(e.directory, "log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the daemon has its own descriptor
	e.daemon = exec.CommandContext(context.WithoutCancel(ctx), "nsenter", "--net=/proc/self/fd/3", "--mount=/proc/self/fd/4", "--",
		"dockerd", "--config-file", filepath.Join(e.directory, "daemon.json"))
	e.daemon.ExtraFiles, e.daemon.Stderr = namespaces, log
	if err := e.daemon.Start(); err != nil {
		return err
	}
	e.watch()
	return nil
}
