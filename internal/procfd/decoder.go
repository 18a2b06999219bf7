// Package procfd decodes a listing of /proc/<pid>/fd and /proc/<pid>/cgroup, made inside a container, into the
// sockets that the container's processes hold.
package procfd

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/PabloL007/outpost/internal/lines"
)

// Script prints, run by sh in a container, what Decoder reads:
//
//	self 42
//	/proc/1 0::/docker/4f5c…            each line of /proc/<pid>/cgroup, for every process in sight
//	/proc/1/fd:                         the listing of each process's descriptors
//	total 0
//	lrwx------ 1 0 0 64 Jan  1 00:00 3 -> socket:[45231]
//
// The shell is there to find the processes; it forks nothing, so that the listing also works where pids.max
// leaves room for one process. -n spares a look-up of user names, which may block on the network.
const Script = `echo self $$; for p in /proc/[0-9]*; do while read -r l; do echo "$p $l"; done <$p/cgroup; done 2>/dev/null; exec ls -ln /proc/[0-9]*/fd`

// Owners are the sockets of one container among those of a network namespace that it shares.
type OwnedSockets struct {
	// Inodes of the sockets that the container's processes hold, with the name of a process that does, or with none
	// where that is not known.
	Inodes map[uint64]string
	// Readable and Denied count the container's processes whose descriptors could and could not be read, the
	// lister itself left out. A denied process may hold any socket: its owner is unknown, not nobody.
	Readable, Denied int
	// Missing says, where it is known, for lack of what processes are denied, such as "CAP_SYS_PTRACE is missing".
	MissingCapabilities string
}

// Decoder decodes a listing: standard output goes to Output, standard error to Errors. Both may be called from
// one goroutine at a time.
type Decoder struct {
	Output, Errors lines.Writer

	container []byte
	self      int
	processes map[int]*process
	section   *process // whose descriptors are being listed
	tooMany   bool     // processes
}

// maxProcesses bounds the memory that a listing can take. No container is known to come near it.
const maxProcesses = 1 << 16

// process is what the listing says of one process.
type process struct {
	inContainer bool // a cgroup path names the container
	outside     bool // a cgroup path leads out of the reader's cgroup namespace
	inCgroup    bool // any cgroup path was seen
	denied      bool // the directory of descriptors could not be opened
	entries     int
	targets     int // entries whose link could be read
	inodes      []uint64
}

// NewDecoder returns a decoder for a listing made in the container of the given 64-digit ID.
func NewDecoder(containerID string) *Decoder {
	d := &Decoder{container: []byte(containerID), processes: make(map[int]*process)}
	d.Output.Line = d.output
	d.Errors.Line = d.errorLine
	return d
}

// Owners returns what the listing tells; ok is false if it does not tell the container's processes from others.
//
// Where /proc shows more than the container (it shares the host's or another container's PID namespace), cgroups
// tell (cgroup_namespaces(7)): seen from the host's cgroup namespace, a path of the container's processes holds
// its ID; seen from a namespace of its own, only the paths of others begin with "/..".
func (d *Decoder) OwnedSockets() (owners OwnedSockets, ok bool) {
	self := d.processes[d.self]
	if self == nil || !self.inCgroup || len(d.container) == 0 || d.tooMany {
		return OwnedSockets{}, false
	}
	owners.Inodes = make(map[uint64]string)
	for pid, p := range d.processes {
		own := p.inCgroup && !p.outside
		if self.inContainer {
			own = p.inContainer
		}
		if !own || pid == d.self {
			continue
		}
		if p.denied || p.entries > 0 && p.targets == 0 {
			owners.Denied++
			continue
		}
		owners.Readable++
		for _, inode := range p.inodes {
			owners.Inodes[inode] = ""
		}
	}
	return owners, true
}

func (d *Decoder) process(pid int) *process {
	p := d.processes[pid]
	if p == nil {
		p = new(process)
		if d.tooMany = d.tooMany || len(d.processes) == maxProcesses; !d.tooMany {
			d.processes[pid] = p
		}
	}
	return p
}

func (d *Decoder) output(line []byte) {
	if pid, ok := bytes.CutPrefix(line, []byte("self ")); ok {
		d.self, _ = strconv.Atoi(string(pid))
		return
	}
	if pid, rest, ok := cutProcess(line); ok {
		switch {
		case bytes.HasPrefix(rest, []byte(" ")):
			d.cgroup(d.process(pid), rest[1:])
		case bytes.Equal(rest, []byte("/fd:")):
			d.section = d.process(pid)
		}
		return
	}
	if d.section != nil && bytes.HasPrefix(line, []byte("l")) {
		d.section.descriptor(line)
	}
}

// cgroup reads a line of /proc/<pid>/cgroup: hierarchy, controllers and path between colons (cgroups(7)).
func (d *Decoder) cgroup(p *process, line []byte) {
	_, rest, _ := bytes.Cut(line, []byte(":"))
	_, path, ok := bytes.Cut(rest, []byte(":"))
	if !ok {
		return
	}
	p.inCgroup = true
	p.inContainer = p.inContainer || bytes.Contains(path, d.container)
	p.outside = p.outside || bytes.HasPrefix(path, []byte("/.."))
}

// descriptor reads a line of `ls -ln`; where the link could not be read, it ends with the descriptor's number.
func (p *process) descriptor(line []byte) {
	p.entries++
	_, target, ok := bytes.Cut(line, []byte(" -> "))
	if !ok {
		return
	}
	p.targets++
	if inode, ok := SocketInode(string(target)); ok {
		p.inodes = append(p.inodes, inode)
	}
}

// SocketInode reads the target of a descriptor's link, such as socket:[45231]. ok is false if it is no socket.
func SocketInode(target string) (inode uint64, ok bool) {
	digits, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
	return inode, err == nil
}

// errorLine reads a complaint of ls. Of interest are directories that could not be opened; a link that could
// not be read shows in the listing, and a process that ended meanwhile holds nothing any more.
func (d *Decoder) errorLine(line []byte) {
	start := bytes.Index(line, []byte("/proc/"))
	if start < 0 || bytes.Contains(line, []byte("No such file")) {
		return
	}
	pid, rest, ok := cutProcess(line[start:])
	if ok && bytes.HasPrefix(rest, []byte("/fd")) && !bytes.HasPrefix(rest, []byte("/fd/")) {
		d.process(pid).denied = true
	}
}

// cutProcess cuts "/proc/<pid>" off the front of text.
func cutProcess(text []byte) (pid int, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(text, []byte("/proc/"))
	if !ok {
		return 0, nil, false
	}
	digits := 0
	for digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9' {
		digits++
	}
	pid, err := strconv.Atoi(string(rest[:digits]))
	return pid, rest[digits:], err == nil
}
