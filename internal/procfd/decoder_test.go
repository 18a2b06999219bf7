package procfd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	id    = "4f5c0000000000000000000000000000000000000000000000000000000000aa"
	other = "99990000000000000000000000000000000000000000000000000000000000bb"
)

// fds returns the listing of a process's descriptors with these link targets. An empty target is an unreadable link.
func fds(pid int, targets ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "/proc/%d/fd:\ntotal 0\n", pid)
	for fd, target := range targets {
		fmt.Fprintf(&text, "lrwx------    1 0        0               64 Jan  1 00:00 %d", fd)
		if target != "" {
			fmt.Fprintf(&text, " -> %s", target)
		}
		text.WriteString("\n")
	}
	return text.String() + "\n"
}

func manyProcesses() string {
	var text strings.Builder
	for pid := range maxProcesses + 1 {
		fmt.Fprintf(&text, "/proc/%d/fd:\n", pid+100)
	}
	return text.String()
}

func cgroups(path string, pids ...int) string {
	var text strings.Builder
	for _, pid := range pids {
		fmt.Fprintf(&text, "/proc/%d %s\n", pid, path)
	}
	return text.String()
}

func TestDecoder(t *testing.T) {
	const self = "self 9\n"
	lister := fds(9, "/dev/null", "pipe:[1]", "")
	tests := []struct {
		name             string
		stdout, stderr   string
		inodes           []uint64
		readable, denied int
		unknown          bool
	}{
		{name: "nothing", unknown: true},
		{name: "more processes than the limit", stdout: self + cgroups("0::/docker/"+id, 9) + manyProcesses(), unknown: true},
		{name: "no cgroups", stdout: self + fds(1, "socket:[5]"), unknown: true},
		{name: "an error text", stdout: "sh: cannot fork", unknown: true},
		{
			name:     "container with its own PID namespace",
			stdout:   self + cgroups("0::/docker/"+id, 1, 7, 9) + fds(1, "socket:[5]", "pipe:[3]") + fds(7, "socket:[5]", "socket:[6]") + lister,
			inodes:   []uint64{5, 6},
			readable: 2,
		},
		{
			name: "the host's PIDs, cgroup v1",
			stdout: self + cgroups("12:pids:/docker/"+id, 9, 40) + cgroups("0::/", 9, 40) + cgroups("12:pids:/", 1) + cgroups("12:pids:/docker/"+other, 50) +
				cgroups("0::/", 1, 50) + fds(1, "socket:[1]") + fds(40, "socket:[5]") + fds(50, "socket:[6]") + lister,
			inodes:   []uint64{5},
			readable: 1,
		},
		{
			name:     "the host's PIDs, cgroup v2 with systemd's names",
			stdout:   self + cgroups("0::/system.slice/docker-"+id+".scope", 9, 40) + cgroups("0::/system.slice/ssh.service", 1) + fds(1, "socket:[1]") + fds(40, "socket:[5]") + lister,
			inodes:   []uint64{5},
			readable: 1,
		},
		{
			name: "the host's PIDs, own cgroup namespace",
			stdout: self + cgroups("0::/", 9, 40) + cgroups("0::/nested", 41) + cgroups("0::/../"+other, 50) + cgroups("0::/../../init.scope", 1) +
				fds(1, "socket:[1]") + fds(40, "socket:[5]") + fds(41, "socket:[7]") + fds(50, "socket:[6]") + lister,
			inodes:   []uint64{5, 7},
			readable: 2,
		},
		{
			name:   "workers of another user: links denied to root without SYS_PTRACE",
			stdout: self + cgroups("0::/docker/"+id, 1, 7, 9) + fds(1, "socket:[5]") + fds(7, "", "", "") + lister,
			stderr: "ls: /proc/7/fd/0: cannot read link: Permission denied\n",
			inodes: []uint64{5}, readable: 1, denied: 1,
		},
		{
			name:   "directory denied, coreutils",
			stdout: self + cgroups("0::/docker/"+id, 1, 9) + lister,
			stderr: "ls: cannot open directory '/proc/1/fd': Permission denied\n",
			denied: 1,
		},
		{
			name:   "directory denied, busybox",
			stdout: self + cgroups("0::/docker/"+id, 1, 9) + "/proc/1/fd:\n" + lister,
			stderr: "ls: can't open '/proc/1/fd': Permission denied\n",
			denied: 1,
		},
		{
			name:   "a process that exited meanwhile",
			stdout: self + cgroups("0::/docker/"+id, 1, 7, 9) + fds(1, "socket:[5]") + lister,
			stderr: "ls: /proc/7/fd: No such file or directory\n",
			inodes: []uint64{5}, readable: 2,
		},
		{
			name:     "denied processes of others do not matter",
			stdout:   self + cgroups("0::/docker/"+id, 9, 40) + cgroups("0::/", 1) + fds(1, "", "") + fds(40, "socket:[5]") + lister,
			inodes:   []uint64{5},
			readable: 1,
		},
		{
			name:     "targets that are not sockets",
			stdout:   self + cgroups("0::/docker/"+id, 1, 9) + fds(1, "socket:[x]", "socket:[99999999999999999999]", "/tmp/socket:[7]", "socket:[8") + lister,
			inodes:   []uint64{8},
			readable: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := NewDecoder(id)
			_, _ = d.Output.Write([]byte(test.stdout))
			_, _ = d.Errors.Write([]byte(test.stderr))
			got, ok := d.OwnedSockets()
			if ok == test.unknown {
				t.Fatalf("ok = %v", ok)
			}
			if inodes := slices.Sorted(maps.Keys(got.Inodes)); !slices.Equal(inodes, test.inodes) {
				t.Errorf("inodes %v, want %v", inodes, test.inodes)
			}
			if got.Readable != test.readable || got.Denied != test.denied {
				t.Errorf("readable %d, denied %d; want %d, %d", got.Readable, got.Denied, test.readable, test.denied)
			}
		})
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add("self 9\n"+cgroups("0::/docker/"+id, 1, 9)+fds(1, "socket:[5]"), "ls: can't open '/proc/1/fd': Permission denied\n")
	f.Add("/proc/ x\n/proc/1 :\n/proc/1/fd:\nl", "/proc/")
	f.Fuzz(func(t *testing.T, stdout, stderr string) {
		d := NewDecoder(id)
		_, _ = d.Output.Write([]byte(stdout))
		_, _ = d.Errors.Write([]byte(stderr))
		sockets, ok := d.OwnedSockets()
		if !ok && (sockets.Readable != 0 || sockets.Denied != 0 || sockets.Inodes != nil) {
			t.Errorf("sockets %+v beside ok = false", sockets)
		}
		if strings.Count(stdout, "socket:[") < len(sockets.Inodes) {
			t.Errorf("%d inodes in %q", len(sockets.Inodes), stdout)
		}
	})
}
