package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/docker/api/types/container"
)

// Exec runs a command in a container, as the container's user and with messages in English, and hands what it prints to stdout and stderr.
// It returns the exit code. Where the command cannot be started, that is 126 or 127 with the runtime's reason
// in stdout (moby daemon/exec.go).
//
// ctx ends the reading only: no call of the API ends a process that runs, and an exec that was created but
// never started stays in the engine for good. Whoever cannot wait has to leave the call running. An error of
// a writer ends the call; the engine then drops what the process still prints.
func (e *Engine) Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error) {
	uncancelled := context.WithoutCancel(ctx)
	c, err := e.client(ctx)
	if err != nil {
		return 0, err
	}
	e.called(kindExecCreate)
	created, err := c.ContainerExecCreate(uncancelled, id, container.ExecOptions{
		Cmd: command, Env: []string{"LC_ALL=C"}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, translate("exec create", err)
	}
	e.called(kindExecStart)
	attached, err := c.ContainerExecAttach(uncancelled, created.ID, container.ExecAttachOptions{})
	if err != nil {
		return 0, translate("exec start", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if err := demultiplex(attached.Reader, stdout, stderr); err != nil {
		return 0, fmt.Errorf("exec output: %w", err)
	}
	e.called(kindExecInspect)
	ended, err := c.ContainerExecInspect(ctx, created.ID)
	if err != nil {
		return 0, translate("exec inspect", err)
	}
	return ended.ExitCode, nil
}
