package collect

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindSelf(t *testing.T) {
	id := strings.Repeat("0a1b", 16)
	for name, test := range map[string]struct{ mountinfo, want string }{
		"in a container": {
			"612 601 0:52 / /proc rw,nosuid - proc proc rw\n" +
				"620 601 254:0 /var/lib/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw\n", id,
		},
		"beside containers": {"700 28 0:60 / /var/lib/docker/containers/" + id + "/mounts/shm rw - tmpfs shm rw\n", ""},
		"on a host":         {"28 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			if err := os.Mkdir(filepath.Join(proc, "self"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(proc, "self", "mountinfo"), []byte(test.mountinfo), 0o644); err != nil {
				t.Fatal(err)
			}
			self, err := FindSelf(proc)
			if self.ID != test.want || err != nil {
				t.Errorf("%q, %v; want %q", self.ID, err, test.want)
			}
		})
	}
	if self, err := FindSelf(t.TempDir()); self.ID != "" || err != nil {
		t.Errorf("without /proc: %q, %v", self.ID, err)
	}
}

func TestSelfReadsItsOwnProc(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()

	self := Self{ID: "it", proc: "/proc"}
	read, err := self.tables()
	if err != nil {
		t.Fatal(err)
	}
	owners, err := self.owners()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range read.sockets {
		if s.Local.String() == listener.Addr().String() {
			if _, ok := owners.Inodes[s.Inode]; !ok {
				t.Errorf("the listener's inode %d is not among the own ones", s.Inode)
			}
			return
		}
	}
	t.Errorf("no listener at %v", listener.Addr())
}
