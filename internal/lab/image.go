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
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/PabloL007/outpost/internal/lab/peer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("peer: %w: %s", err, output)
	}
	return os.ReadFile(binary)
}
