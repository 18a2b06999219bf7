package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// dialError is why the engine could not be connected to. Docker's client replaces errors with the words "dial unix" or
// "connection refused", so no reason has them.
type dialError struct {
	reason string
	err    error
}

func (e *dialError) Error() string { return e.reason }

func (e *dialError) Unwrap() error { return e.err }

// explainFailures returns dial with errors that name the cause, and what the user can do.
func (a address) explainFailures(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, endpoint string) (net.Conn, error) {
		conn, err := dial(ctx, network, endpoint)
		if err == nil || ctx.Err() != nil {
			return conn, err
		}
		reason := ""
		if path, ok := a.socketPath(); ok {
			err = withSocketRemedy(path, err)
			reason = explainSocket(path, err)
		} else {
			reason = explainTCP(endpoint, err)
		}
		if a.proxy != nil {
			reason = "the proxy " + a.proxyName() + " cannot be reached: " + reason
		}
		return nil, &dialError{reason, err}
	}
}

// socketPath returns the path of the engine's socket. ok is false if the engine is reached by TCP.
func (a address) socketPath() (path string, ok bool) { return strings.CutPrefix(a.host, "unix://") }

func explainTCP(endpoint string, err error) string {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nothing listens on " + endpoint
	}
	return err.Error()
}

// explainSocket returns why the socket at path cannot be connected to. err is the error of the attempt.
func explainSocket(path string, err error) string {
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return fmt.Sprintf("%s does not exist: start the engine, or mount its socket with -v %s:%s, or set DOCKER_HOST", path, path, path)
	case statErr == nil && info.IsDir():
		return path + " is a directory, not the engine's socket: the engine makes a directory if it mounts a file that does not exist"
	case statErr == nil && info.Mode().Type() != fs.ModeSocket:
		return path + " is not a socket"
	case isReplaced(info):
		return path + " is the file of an earlier socket: the engine made a new one; restart Outpost's container, or mount the socket's directory in place of the file"
	case errors.Is(err, fs.ErrPermission):
		return explainPermission(path, info)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on " + path + ": start the engine"
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		err = failed.Err
	}
	return fmt.Sprintf("%s: %v", path, err)
}

// isReplaced reports whether a file was removed from its directory. A mount of a file keeps such a file.
func isReplaced(info fs.FileInfo) bool {
	if info == nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// withSocketRemedy returns the error of an attempt to connect to a socket, with the remedy if the socket denies access.
func withSocketRemedy(path string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	info, _ := os.Stat(path)
	return &container.RemedyError{Err: err, Remedy: socketRemedy(path, info)}
}

// explainPermission names the smallest right that permits to connect to a socket.
func explainPermission(path string, info fs.FileInfo) string {
	reason := "no permission for " + path
	switch {
	case hostproc.InUserNamespace("/proc"):
		reason += " from this user namespace"
	case info == nil:
		reason += " or its directory"
	}
	return reason + ": " + socketRemedy(path, info)
}

// socketRemedy returns how to start Outpost so that it can connect to a socket.
func socketRemedy(path string, info fs.FileInfo) string {
	if hostproc.InUserNamespace("/proc") {
		return "if the engine remaps users (userns-remap), start Outpost with --userns host"
	}
	var stat *syscall.Stat_t
	if info != nil {
		stat, _ = info.Sys().(*syscall.Stat_t)
	}
	if stat == nil {
		return fmt.Sprintf("start Outpost with its group, --group-add $(stat -c %%g %s)", path)
	}
	groups, _ := os.Getgroups()
	return modeRemedy(info.Mode(), int(stat.Uid), int(stat.Gid), os.Geteuid(), append(groups, os.Getegid()))
}

// modeRemedy is socketRemedy for a socket of an owner and group, and a process of a user in groups.
func modeRemedy(mode fs.FileMode, owner, group, user int, groups []int) string {
	const ownerWrites, groupWrites = 0o200, 0o020
	isMember := slices.Contains(groups, group)
	switch {
	case user == owner && mode&ownerWrites != 0, user != owner && isMember && mode&groupWrites != 0:
		return "its mode permits access, so a security module such as SELinux denies it: start Outpost with --security-opt label=disable"
	case mode&groupWrites != 0:
		return fmt.Sprintf("start Outpost with its group, --group-add %d", group)
	}
	return fmt.Sprintf("start Outpost as its user, --user %d", owner)
}

// CheckSocket returns an error if the engine's socket is the file of an earlier socket: only a new mount shows the current
// one. It returns nil if the engine listens, or if a later attempt may succeed.
func CheckSocket(ctx context.Context) error {
	a, err := addressFromEnv(false)
	if err != nil {
		return err
	}
	path, ok := a.socketPath()
	if !ok {
		return nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return conn.Close()
	}
	if info, statErr := os.Stat(path); statErr == nil && isReplaced(info) {
		return errors.New(explainSocket(path, err))
	}
	return nil
}
