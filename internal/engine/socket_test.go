package engine_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/engine"
)

// listenUnix returns a listener that leaves its file behind when it is closed.
func listenUnix(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// Each kind of a wrong socket has its own reason, which names what helps.
func TestUnreachableSocketIsExplained(t *testing.T) {
	directory := t.TempDir()
	in := func(name string) string { return filepath.Join(directory, name) }
	if err := os.WriteFile(in("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = listenUnix(t, in("closed")).Close()
	for path, want := range map[string]string{
		in("missing"): " does not exist: start the engine, or mount its socket with -v " + in("missing") + ":" + in("missing"),
		directory:     " is a directory",
		in("file"):    " is not a socket",
		in("closed"):  "nothing listens on " + in("closed") + ": start the engine",
	} {
		t.Setenv("DOCKER_HOST", "unix://"+path)
		_, err := newEngine(t).Containers(t.Context())
		if !errors.Is(err, container.ErrUnreachable) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Docker daemon") {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
		if err := engine.CheckSocket(t.Context()); err != nil {
			t.Errorf("%s: CheckSocket: %v, want nil: a later attempt may succeed", path, err)
		}
	}
}

// A process holds a socket's file as a mount of the file does: it stays although the engine makes a new socket. The kernel
// shows that the file has no directory entry any more.
func TestReplacedSocketIsExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "engine.sock")
	listener := listenUnix(t, path)
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	t.Setenv("DOCKER_HOST", fmt.Sprintf("unix:///proc/self/fd/%d", fd))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := engine.CheckSocket(t.Context()); err != nil {
		t.Errorf("the engine still listens on it: %v", err)
	}
	_ = listener.Close()
	listenUnix(t, path)
	const want = "is the file of an earlier socket: the engine made a new one; restart Outpost's container"
	if err := engine.CheckSocket(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("CheckSocket: %v, want %q", err, want)
	}
	if _, err := newEngine(t).Containers(t.Context()); !errors.Is(err, container.ErrUnreachable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Containers: %v, want %q", err, want)
	}
}

// A socket on another machine is never checked.
func TestCheckSocketOfTCP(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	if err := engine.CheckSocket(t.Context()); err != nil {
		t.Error(err)
	}
}
