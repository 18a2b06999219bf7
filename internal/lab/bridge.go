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

// bridge is the network of all engines of the lab, and the name of their shared directory.
const bridge = "outpost-lab"

// connect joins the engine's network namespace to the bridge.
func (e *Engine) connect(ctx context.Context, address netip.Prefix) error {
	pid := strconv.Itoa(e.daemon.Process.Pid)
	return runAll(ctx,
		[]string{"ip", "link", "add", e.id, "type", "veth", "peer", "name", "eth0", "netns", pid},
		[]string{"ip", "link", "set", e.id, "master", bridge, "up"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "link", "set", "lo", "up"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "address", "add", address.String(), "dev", "eth0"},
		[]string{"nsenter", "--target", pid, "--net", "ip", "link", "set", "eth0", "up"},
	)
}

// sharedDirectory holds the files of all engines. The first engine creates it, the last one removes it.
func sharedDirectory() string { return filepath.Join(os.TempDir(), bridge) }

func cgroupListPath() string { return filepath.Join(sharedDirectory(), "cgroups") }

// forward returns the command that checks, inserts or deletes the rule that forwards traffic between engines. program is iptables or
// ip6tables.
func forward(program, operation string) []string {
	return []string{program, "-w", operation, "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT"}
}

// addForwardRules adds the rules that override Docker's policy to drop forwarded traffic. A kernel without ip6tables drops nothing.
func addForwardRules(ctx context.Context) error {
	var errs []error
	for _, program := range []string{"iptables", "ip6tables"} {
		hasTable := program == "iptables" || runAll(ctx, []string{program, "-w", "-S", "FORWARD"}) == nil
		if hasTable && runAll(ctx, forward(program, "-C")) != nil {
			errs = append(errs, runAll(ctx, forward(program, "-I")))
		}
	}
	return errors.Join(errs...)
}

func removeForwardRules(ctx context.Context) error {
	var errs []error
	for _, program := range []string{"iptables", "ip6tables"} {
		if runAll(ctx, forward(program, "-C")) == nil {
			errs = append(errs, runAll(ctx, forward(program, "-D")))
		}
	}
	return errors.Join(errs...)
}

// createShared creates what engines share, unless it exists: the bridge, the machine's address on it, and the rules for its traffic. It
// lists the cgroups that the machine's engine made.
func createShared(ctx context.Context, address netip.Prefix) error {
	if _, err := os.Stat(cgroupListPath()); err != nil {
		if err := os.WriteFile(cgroupListPath(), []byte(strings.Join(dockerCgroups(), "\n")), 0o600); err != nil {
			return err
		}
	}
	if _, err := net.InterfaceByName(bridge); err != nil {
		if err := runAll(ctx, []string{"ip", "link", "add", bridge, "type", "bridge"}); err != nil {
			return err
		}
	}
	first := netip.PrefixFrom(address.Masked().Addr().Next(), address.Bits()).String()
	if err := runAll(ctx,
		[]string{"ip", "address", "replace", first, "dev", bridge},
		[]string{"ip", "link", "set", bridge, "up"},
	); err != nil {
		return err
	}
	return addForwardRules(ctx)
}

// removeShared removes what engines share, once no engine is left.
func removeShared(ctx context.Context) error {
	entries, err := os.ReadDir(sharedDirectory())
	if err != nil || slices.ContainsFunc(entries, fs.DirEntry.IsDir) {
		return ignoreErrors(err, fs.ErrNotExist)
	}
	before, err := os.ReadFile(cgroupListPath())
	errs := []error{ignoreErrors(err, fs.ErrNotExist)}
	for _, path := range dockerCgroups() {
		if err == nil && !slices.Contains(strings.Split(string(before), "\n"), path) {
			// The machine's engine may have begun to use the cgroup.
			errs = append(errs, ignoreErrors(os.Remove(path), syscall.EBUSY, syscall.ENOTEMPTY, fs.ErrNotExist))
		}
	}
	errs = append(errs, removeForwardRules(ctx))
	return errors.Join(append(errs, removeLink(ctx, bridge), os.RemoveAll(sharedDirectory()))...)
}

func removeLink(ctx context.Context, name string) error {
	exists := func() bool {
		_, err := net.InterfaceByName(name)
		return err == nil
	}
	if !exists() {
		return nil
	}
	// The kernel removes the link itself when the namespace at its other end ends.
	if err := runAll(ctx, []string{"ip", "link", "delete", name}); err != nil && exists() {
		return err
	}
	return nil
}

// lock locks a directory, or fails at once. Closing the file or ending the process releases the lock.
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

// withLock calls f while no other process creates or removes what engines share.
func withLock(ctx context.Context, f func() error) error {
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

// runAll runs commands in order, until one fails.
func runAll(ctx context.Context, commands ...[]string) error {
	for _, words := range commands {
		if output, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", shellQuoted(words), err, bytes.TrimSpace(output))
		}
	}
	return nil
}

// retry calls f until it succeeds. On timeout it returns the last error of f.
func retry(ctx context.Context, f func() error) error {
	const timeout, pause = 30 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, timeout)
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

func ignoreErrors(err error, those ...error) error {
	for _, that := range those {
		if errors.Is(err, that) {
			return nil
		}
	}
	return err
}
