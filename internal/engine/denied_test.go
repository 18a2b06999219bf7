package engine_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// serveSocket serves a status for each request on a socket, as a proxy in front of the engine does, and sets DOCKER_HOST.
func serveSocket(t *testing.T, status int) (path string) {
	t.Helper()
	directory := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(directory), 0o755), os.Chmod(directory, 0o755)); err != nil { // another user connects
		t.Fatal(err)
	}
	path = filepath.Join(directory, "engine.sock")
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, "<html><body>denied</body></html>")
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "unix://"+path)
	return path
}

// The errors of a proxy that forbids the list or requires credentials have a remedy.
func TestDenialOfAProxyHasARemedy(t *testing.T) {
	for status, want := range map[int]struct {
		err    error
		remedy string
	}{
		http.StatusForbidden:    {container.ErrForbidden, "CONTAINERS=1"},
		http.StatusUnauthorized: {container.ErrUnauthorized, "DOCKER_CERT_PATH"},
	} {
		serveSocket(t, status)
		e := newEngine(t)
		_, err := e.Containers(t.Context())
		for _, err := range []error{err, e.Ready(t.Context())} {
			if !errors.Is(err, want.err) || !strings.Contains(container.RemedyOf(err), want.remedy) || !strings.Contains(err.Error(), want.remedy) {
				t.Errorf("%d: %v, remedy %q", status, err, container.RemedyOf(err))
			}
		}
		if _, err := e.Inspect(t.Context(), "web"); status == http.StatusForbidden && container.RemedyOf(err) != "" {
			t.Errorf("the remedy is for the list: %v", err)
		}
	}
}

// An engine that requires a client certificate ends the connection with an alert.
func TestMissingCertificateHasARemedy(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "https://"+server.Listener.Addr().String()) // no known authority signed its certificate
	if err := newEngine(t).Ready(t.Context()); !errors.Is(err, container.ErrUnauthorized) || !strings.Contains(container.RemedyOf(err), "ca.pem") {
		t.Errorf("%v, remedy %q", err, container.RemedyOf(err))
	}
}

// A socket without permission for this process names the group that helps.
func TestDeniedSocketHasARemedy(t *testing.T) {
	if hostproc.InUserNamespace("/proc") {
		t.Skip("the remedy is another in a user namespace")
	}
	path := serveSocket(t, http.StatusOK)
	group := os.Getegid()
	if os.Geteuid() == 0 {
		group = 4321
		becomeNobody(t, path, group)
	} else if err := os.Chmod(path, 0o060); err != nil { // its group may use it, and not this user
		t.Fatal(err)
	}
	want := fmt.Sprintf("start Outpost with its group, --group-add %d", group)
	err := newEngine(t).Ready(t.Context())
	if !errors.Is(err, container.ErrUnreachable) || container.RemedyOf(err) != want || !strings.Contains(err.Error(), "no permission for "+path+": "+want) {
		t.Errorf("%v, remedy %q, want %q", err, container.RemedyOf(err), want)
	}
}

// becomeNobody lets only a group use a socket, and takes the rights of root from this process until the test ends.
func becomeNobody(t *testing.T, path string, group int) {
	t.Helper()
	const nobody = 65534
	if err := errors.Join(os.Chown(path, 0, group), os.Chmod(path, 0o660)); err != nil { // as the engine does
		t.Fatal(err)
	}
	if err := syscall.Setresuid(-1, nobody, -1); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setresuid(-1, 0, -1); err != nil {
			t.Fatal(err)
		}
	})
}
