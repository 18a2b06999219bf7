// Package procfd decodes a listing of /proc/<pid>/fd and /proc/<pid>/cgroup. The listing is made inside a container,
// and shows which sockets the container's processes hold.
package procfd

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/PabloL007/outpost/internal/lines"
)

// Script is a command for sh in a container. It prints the input of a Decoder:
//
//	self 42
//	/proc/1 0::/docker/4f5c…            each line of /proc/<pid>/cgroup, for every visible process
//	/proc/1/fd:                         the listing of each process's descriptors
//	total 0
//	lrwx------ 1 0 0 64 Jan  1 00:00 3 -> socket:[45231]
//
// The shell finds the processes without forking, so the listing also works if pids.max leaves room for only one
// process. -n avoids a look-up of user names, which may block on the network.
const Script = `echo self $$; for p in /proc/[0-9]*; do while read -r l; do echo "$p $l"; done <$p/cgroup; done 2>/dev/null; exec ls -ln /proc/[0-9]*/fd`

// OwnedSockets are the sockets that one container's processes hold. Their network namespace may contain sockets of
// other containers too.
type OwnedSockets struct {
	// Inodes maps the inode of each held socket to the name of a process that holds it, or to "" if the name is
	// unknown.
	Inodes map[uint64]string
	// Readable and Denied count the container's processes with readable and with unreadable descriptors, without
	// the lister itself. A denied process may hold any socket, so the owner of the remaining sockets is unknown.
	Readable, Denied int
	// ByCgroup means that the cgroup in which a socket was made decides. The kernel lists it beside the socket. Descriptors are
	// read later than sockets: a socket that closes in between seems to have no owner.
	ByCgroup bool
	// MissingCapabilities explains why processes are denied, such as "CAP_SYS_PTRACE is missing"; empty if unknown.
	MissingCapabilities string
}

// Decoder decodes a listing: write standard output to Output and standard error to Errors. It must not be used
// concurrently.
type Decoder struct {
	Output, Errors lines.Writer

	containerID []byte
	self        int
	processes   map[int]*process
	section     *process // the process of the current descriptor listing
	tooMany     bool     // more processes than maxProcesses
}

// maxProcesses bounds the memory that a listing can take. No known container comes near it.
const maxProcesses = 1 << 16

// process is the information that the listing contains about one process.
type process struct {
	inContainer bool // a cgroup path contains the container's ID
	outside     bool // a cgroup path leads out of the reader's cgroup namespace
	hasCgroup   bool // the listing contains a cgroup path
	denied      bool // the directory of descriptors could not be opened
	entries     int
	targets     int // entries with a readable link
	inodes      []uint64
}

// NewDecoder returns a decoder for a listing made in the container with the given 64-digit ID.
func NewDecoder(containerID string) *Decoder {
	d := &Decoder{containerID: []byte(containerID), processes: make(map[int]*process)}
	d.Output.Line = d.decodeOutput
	d.Errors.Line = d.decodeError
	return d
}

// OwnedSockets returns the sockets that the container's processes hold. ok is false if the listing does not
// distinguish the container's processes from others.
//
// /proc shows other processes too if the container shares the PID namespace of the host or of another container.
// Cgroups then distinguish them (cgroup_namespaces(7)): seen from the host's cgroup namespace, a path of the
// container's processes contains its ID. Seen from the container's own cgroup namespace, only the paths of other
// processes begin with "/..".
func (d *Decoder) OwnedSockets() (sockets OwnedSockets, ok bool) {
	self := d.processes[d.self]
	if self == nil || !self.hasCgroup || len(d.containerID) == 0 || d.tooMany {
		return OwnedSockets{}, false
	}
	sockets.Inodes = make(map[uint64]string)
	for pid, p := range d.processes {
		isOwn := p.hasCgroup && !p.outside
		if self.inContainer {
			isOwn = p.inContainer
		}
		if !isOwn || pid == d.self {
			continue
		}
		if p.denied || p.entries > 0 && p.targets == 0 {
			sockets.Denied++
			continue
		}
		sockets.Readable++
		for _, inode := range p.inodes {
			sockets.Inodes[inode] = ""
		}
	}
	return sockets, true
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

func (d *Decoder) decodeOutput(line []byte) {
	if pid, ok := bytes.CutPrefix(line, []byte("self ")); ok {
		d.self, _ = strconv.Atoi(string(pid))
		return
	}
	if pid, rest, ok := cutProcess(line); ok {
		switch {
		case bytes.HasPrefix(rest, []byte(" ")):
			d.decodeCgroup(d.process(pid), rest[1:])
		case bytes.Equal(rest, []byte("/fd:")):
			d.section = d.process(pid)
		}
		return
	}
	if d.section != nil && bytes.HasPrefix(line, []byte("l")) {
		d.section.decodeDescriptor(line)
	}
}

// decodeCgroup decodes a line of /proc/<pid>/cgroup: hierarchy, controllers and path between colons (cgroups(7)).
func (d *Decoder) decodeCgroup(p *process, line []byte) {
	_, rest, _ := bytes.Cut(line, []byte(":"))
	_, path, ok := bytes.Cut(rest, []byte(":"))
	if !ok {
		return
	}
	p.hasCgroup = true
	p.inContainer = p.inContainer || bytes.Contains(path, d.containerID)
	p.outside = p.outside || bytes.HasPrefix(path, []byte("/.."))
}

// decodeDescriptor decodes a line of `ls -ln`; where the link could not be read, it ends with the descriptor's number.
func (p *process) decodeDescriptor(line []byte) {
	p.entries++
	_, target, ok := bytes.Cut(line, []byte(" -> "))
	if !ok {
		return
	}
	p.targets++
	if inode, ok := ParseSocketInode(string(target)); ok {
		p.inodes = append(p.inodes, inode)
	}
}

// ParseSocketInode parses the target of a descriptor's link, such as socket:[45231]. ok is false if it is not a socket.
func ParseSocketInode(target string) (inode uint64, ok bool) {
	digits, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
	return inode, err == nil
}

// decodeError decodes an error message of ls. Only directories that ls could not open matter: the listing itself shows
// an unreadable link, and a process that exited meanwhile holds no sockets.
func (d *Decoder) decodeError(line []byte) {
	start := bytes.Index(line, []byte("/proc/"))
	if start < 0 || bytes.Contains(line, []byte("No such file")) {
		return
	}
	pid, rest, ok := cutProcess(line[start:])
	if ok && bytes.HasPrefix(rest, []byte("/fd")) && !bytes.HasPrefix(rest, []byte("/fd/")) {
		d.process(pid).denied = true
	}
}

// cutProcess removes the prefix "/proc/<pid>" from text.
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
