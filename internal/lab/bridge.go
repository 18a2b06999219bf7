package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bridge is the engines' network, and what they share.
const bridge = "outpost-lab"

// connect joins the engine's network namespace to the bridge.
func (e *Engine) connect(ctx context.Context, address netip.Prefix) error {
	pid := strconv.Itoa(e.daemon.Process.Pid)
	return inOrder(ctx,
		[]string{"ip", "link", "add", e.id, "type", "veth", "peer", "name", "eth0", "netns", pid},
		[]string{"ip", "link", "set", e.id, "master", bridge, "up"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "link", "set", "lo", "up"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "address", "add", address.String(), "dev", "eth0"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "link", "set", "eth0", "up"},
	)
}

// shared is the directory of what is made with the first engine and removed with the last.
func shared() string { return filepath.Join(os.TempDir(), bridge) }

func cgroupsBefore() string { return filepath.Join(shared(), "cgroups") }

// forward returns the command that checks, inserts or deletes the rule by which the machine lets engines' traffic pass.
func forward(operation string) []string {
	return []string{"iptables", "-w", operation, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
}

// makeShared makes what engines share and is not there: the bridge, the machine's address at it, and a rule against
// the policy to drop that Docker gives to the machine; and a list of the cgroups that the machine's engine made.
func makeShared(ctx context.Context, address netip.Prefix) error {
	if _, err := os.Stat(cgroupsBefore()); err != nil {
		if err := os.WriteFile(cgroupsBefore(), []byte(strings.Join(dockerCgroups(), "\n")), 0o600); err != nil {
			return err
		}
	}
	if _, err := net.InterfaceByName(bridge); err != nil {
		if err := inOrder(ctx, []string{"ip", "link", "add", bridge, "type", "bridge"}); err != nil {
			return err
		}
	}
	first := netip.PrefixFrom(address.Masked().Addr().Next(), address.Bits()).String()
	if err := inOrder(ctx,
		[]string{"ip", "address", "replace", first, "dev", bridge},
		[]string{"ip", "link", "set", bridge, "up"},
	); err != nil {
		return err
	}
	if inOrder(ctx, forward("-C")) == nil {
		return nil
	}
	return inOrder(ctx, forward("-I"))
}

// removeShared removes what engines share, if there are none.
func removeShared(ctx context.Context) error {
	entries, err := os.ReadDir(shared())
	if err != nil || slices.ContainsFunc(entries, fs.DirEntry.IsDir) {
		return ignore(err, fs.ErrNotExist)
	}
	before, err := os.ReadFile(cgroupsBefore())
	errs := []error{ignore(err, fs.ErrNotExist)}
	for _, path := range dockerCgroups() {
		if err == nil && !slices.Contains(strings.Split(string(before), "\n"), path) {
			// The machine's engine may have begun to use it.
			errs = append(errs, ignore(os.Remove(path), syscall.EBUSY, syscall.ENOTEMPTY, fs.ErrNotExist))
		}
	}
	if inOrder(ctx, forward("-C")) == nil {
		errs = append(errs, inOrder(ctx, forward("-D")))
	}
	return errors.Join(append(errs, removeLink(ctx, bridge), os.RemoveAll(shared()))...)
}

func removeLink(ctx context.Context, name string) error {
	exists := func() bool {
		_, err := net.InterfaceByName(name)
		return err == nil
	}
	if !exists() {
		return nil
	}
	// The kernel may be about to remove it, with the namespace at its other end.
	if err := inOrder(ctx, []string{"ip", "link", "delete", name}); err != nil && exists() {
		return err
	}
	return nil
}

// lock locks a directory, or fails at once. The lock ends with the file or its process.
func lock(directory string) (*os.File, error) {
	file, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", directory, err)
	}
	return file, nil
}

// locked calls f while nobody else makes or removes what engines share.
func locked(ctx context.Context, f func() error) error {
	var held *os.File
	err := retry(ctx, func() (err error) {
		held, err = lock(os.TempDir())
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(f(), held.Close())
}

// inOrder runs commands as far as they succeed.
func inOrder(ctx context.Context, commands ...[]string) error {
	for _, words := range commands {
		if output, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", quoted(words), err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// retry calls f until it succeeds, and returns its last error if it does not in time.
func retry(ctx context.Context, f func() error) error {
	const patience, pause = 30 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func ignore(err error, those ...error) error {
	for _, that := range those {
		if errors.Is(err, that) {
			return nil
		}
	}
	return err
}
