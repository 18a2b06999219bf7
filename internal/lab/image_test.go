package lab

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Where a directory has the built commands, no Go is needed.
func TestBuiltCommandsAreCopied(t *testing.T) {
	directory := t.TempDir()
	t.Setenv("E2E_BINARIES", directory)
	t.Setenv("PATH", "/usr/bin:/bin") // without Go
	if _, err := Peer(t.Context()); err == nil {
		t.Error("a missing command is no error")
	}
	want := []byte("built before")
	if err := os.WriteFile(filepath.Join(directory, "peer"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Peer(t.Context()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
