package hostproc

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// file is an open file. An os.File would ask the kernel more about it than reading takes.
type file struct {
	descriptor int
	path       string
}

func openAt(directory *os.File, name string) (*file, error) {
	path := filepath.Join(directory.Name(), name)
	for {
		descriptor, err := unix.Openat(int(directory.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		default:
			return &file{descriptor, path}, nil
		}
	}
}

// Read implements io.Reader.
func (f *file) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(f.descriptor, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: f.path, Err: err}
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (f *file) close() { _ = unix.Close(f.descriptor) }

// asOS turns it into an os.File, which is to be closed in its place.
func (f *file) asOS() *os.File { return os.NewFile(uintptr(f.descriptor), f.path) }

// readAt reads a file that is not long.
func readAt(directory *os.File, name string) (string, error) {
	f, err := openAt(directory, name)
	if err != nil {
		return "", err
	}
	defer f.close()
	const longest = 64 << 10
	text := make([]byte, 0, 4<<10) // a page: the kernel gives no more at once
	for len(text) < longest {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := f.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return string(text), err
		}
	}
	return string(text), nil
}
