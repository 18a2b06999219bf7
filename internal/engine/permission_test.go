package engine

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/PabloL007/outpost/internal/hostproc"
)

// The reason of a denied socket names the smallest right that permits to use it.
func TestDeniedSocketIsExplained(t *testing.T) {
	if hostproc.InUserNamespace("/proc") {
		t.Skip("the reason is another in a user namespace")
	}
	path := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for mode, want := range map[os.FileMode]string{
		0o660: fmt.Sprintf("no permission for %s: start Outpost with its group, --group-add %d", path, os.Getegid()),
		0o600: fmt.Sprintf("no permission for %s: start Outpost as its user, --user %d", path, os.Geteuid()),
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := explainSocket(path, os.ErrPermission); got != want {
			t.Errorf("%o: %s, want %s", mode, got, want)
		}
	}
}
