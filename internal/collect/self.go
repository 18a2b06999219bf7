package collect

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"github.com/PabloL007/outpost/internal/procfd"
	"github.com/PabloL007/outpost/internal/procnet"
)

// Self is the container in which Outpost itself runs. There nothing need be run, nor could it be in an image that
// holds Outpost alone: its own /proc tells.
type Self struct {
	ID   string // empty if Outpost runs in none
	proc string
}

// mountedFile matches the files that the engine mounts into each container, in the fields root and mount point
// of /proc/self/mountinfo: …/containers/<ID>/hostname /etc/hostname (moby daemon/container_operations_unix.go).
var mountedFile = regexp.MustCompile(`/containers/([0-9a-f]{64})/\S+ /etc/(?:hostname|hosts|resolv\.conf) `)

// FindSelf finds out from proc, usually /proc, in which container Outpost runs.
func FindSelf(proc string) (Self, error) {
	file, err := os.Open(filepath.Join(proc, "self", "mountinfo")) //nolint:gosec // the caller's own /proc
	if errors.Is(err, os.ErrNotExist) {
		return Self{}, nil // not Linux: in no container
	}
	if err != nil {
		return Self{}, fmt.Errorf("own container: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if match := mountedFile.FindStringSubmatch(lines.Text()); match != nil {
			return Self{ID: match[1], proc: proc}, nil
		}
	}
	if err := lines.Err(); err != nil {
		return Self{}, fmt.Errorf("own container: %w", err)
	}
	return Self{}, nil
}

// tables reads the tables of Outpost's own network namespace. Beside an error there may be a part of them.
func (s Self) tables() (tables, error) {
	decoder := procnet.NewDecoder(binary.NativeEndian)
	var err error
	for _, name := range []string{"tcp", "tcp6"} {
		file, openErr := os.Open(filepath.Join(s.proc, "self", "net", name)) //nolint:gosec // the caller's own /proc
		if name == "tcp6" && errors.Is(openErr, os.ErrNotExist) {
			break // a kernel without IPv6
		}
		if err = openErr; err != nil {
			break
		}
		_, err = io.Copy(decoder, file)
		if err = errors.Join(err, file.Close()); err != nil {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("own tables: %w", err)
	}
	return tablesOf(decoder.Table()), err
}

// owners returns the sockets that Outpost holds.
func (s Self) owners() (procfd.Owners, error) {
	directory := filepath.Join(s.proc, "self", "fd")
	entries, err := os.ReadDir(directory)
	if err != nil {
		return procfd.Owners{}, fmt.Errorf("own descriptors: %w", err)
	}
	owners := procfd.Owners{Inodes: make(map[uint64]struct{}), Readable: 1}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(directory, entry.Name()))
		if err != nil {
			continue // closed meanwhile, as is the one that reads the directory
		}
		if inode, ok := procfd.SocketInode(target); ok {
			owners.Inodes[inode] = struct{}{}
		}
	}
	return owners, nil
}
