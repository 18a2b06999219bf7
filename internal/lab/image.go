package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// File is a file of an image: an executable or a symbolic link.
type File struct {
	Content []byte // of the executable
	Link    string // target of the symbolic link; empty for an executable
}

// Import creates an image called Name(part) from files, keyed by path, and returns its name.
func (l *Lab) Import(ctx context.Context, part string, files map[string]File) (string, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for path, file := range files {
		header := &tar.Header{Name: path, Mode: 0o755, Size: int64(len(file.Content)), Typeflag: tar.TypeReg}
		if file.Link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, file.Link
		}
		if err := errors.Join(w.WriteHeader(header), write(w, file.Content)); err != nil {
			return "", fmt.Errorf("image %s: %w", part, err)
		}
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("image %s: %w", part, err)
	}
	name := l.Name(part)
	_, err := l.docker(ctx, &archive, "import", "--change", "LABEL "+l.Label(), "-", name)
	return name, err
}

func write(w *tar.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}

// Tools returns the files of an image with peer and the usual commands of busybox. The machine needs busybox.
func Tools(ctx context.Context) (map[string]File, error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, fmt.Errorf("tools: %w", err)
	}
	busybox, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tools: %w", err)
	}
	peer, err := Peer(ctx)
	if err != nil {
		return nil, err
	}
	files := map[string]File{"bin/busybox": {Content: busybox}, "bin/peer": {Content: peer}}
	for command := range strings.FieldsSeq("sh cat ls sleep true yes") {
		files["bin/"+command] = File{Link: "busybox"}
	}
	return files, nil
}

// Peer builds the command peer as a static binary.
func Peer(ctx context.Context) ([]byte, error) {
	directory, err := os.MkdirTemp("", "peer")
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	binary := filepath.Join(directory, "peer")
	if err := Build(ctx, binary, "internal/lab/peer"); err != nil {
		return nil, err
	}
	return os.ReadFile(binary)
}

// Build builds a command of this module, such as cmd/outpost, to a path. Without the flag -race the binary is static. If
// E2E_BINARIES names a directory with built commands, Build copies the command from there, for machines without Go.
func Build(ctx context.Context, path, command string, flags ...string) error {
	build := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), "github.com/PabloL007/outpost/"+command)...)
	if !slices.Contains(flags, "-race") { // the race detector needs cgo
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if built := os.Getenv("E2E_BINARIES"); built != "" {
		build = exec.CommandContext(ctx, "cp", filepath.Join(built, filepath.Base(command)), path)
	}
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", command, err, output)
	}
	return nil
}
