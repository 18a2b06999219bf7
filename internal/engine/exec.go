package engine

import (
	"context"
	"fmt"
	"io"

	dockercontainer "github.com/docker/docker/api/types/container"
)

// Exec runs a command in a container as the container's user, with English messages, and copies its output to stdout
// and stderr. It returns the exit code. If the command cannot be started, the code is 126, 127 or 128, and stdout
// receives the runtime's reason (moby daemon/errors.go, setExitCodeFromError).
//
// ctx ends only the reading: the API has no call that ends a running process. An exec that is created but never started
// stays in the engine permanently, so ctx does not cancel the start. A caller that cannot wait must abandon the call. An
// error of a writer ends the call; the engine then discards the remaining output.
func (e *Engine) Exec(ctx context.Context, id string, command []string, stdout, stderr io.Writer) (int, error) {
	uncancelled := context.WithoutCancel(ctx)
	c, err := e.client(ctx)
	if err != nil {
		return 0, err
	}
	e.observe(kindExecCreate)
	created, err := c.ContainerExecCreate(uncancelled, id, dockercontainer.ExecOptions{
		Cmd: command, Env: []string{"LC_ALL=C"}, AttachStdout: true, AttachStderr: true,
	})
	if err != nil {
		return 0, wrapError("exec create", err)
	}
	e.observe(kindExecStart)
	attached, err := c.ContainerExecAttach(uncancelled, created.ID, dockercontainer.ExecAttachOptions{})
	if err != nil {
		return 0, wrapError("exec start", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if err := demultiplex(attached.Reader, stdout, stderr); err != nil {
		return 0, fmt.Errorf("exec output: %w", err)
	}
	e.observe(kindExecInspect)
	inspected, err := c.ContainerExecInspect(ctx, created.ID)
	if err != nil {
		return 0, wrapError("exec inspect", err)
	}
	return inspected.ExitCode, nil
}
