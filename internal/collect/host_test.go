package collect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBootID(t *testing.T) {
	const id = "0b7c2b29-9c2f-4a86-8d3a-0d1d2f3c4b5a"
	for text, want := range map[string]string{id + "\n": id, id: "", "": "", "<b>\n": "", id + "\n" + id + "\n": ""} {
		proc := t.TempDir()
		directory := filepath.Join(proc, "sys", "kernel", "random")
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(directory, "boot_id"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := BootID(proc); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := BootID(t.TempDir()); got != "" {
		t.Errorf("without the file: %q", got)
	}
}

func TestSelfContainerID(t *testing.T) {
	container := strings.Repeat("0a1b", 16)
	for name, test := range map[string]struct{ mountinfo, want string }{
		"in a container": {
			"612 601 0:52 / /proc rw,nosuid - proc proc rw\n" +
				"620 601 254:0 /var/lib/docker/containers/" + container + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw\n", container,
		},
		"in a container of Podman": {
			"310 304 0:42 /containers/storage/overlay-containers/" + container + "/userdata/hostname /etc/hostname rw,relatime - tmpfs tmpfs rw\n", container,
		},
		"beside containers": {"700 28 0:60 / /var/lib/docker/containers/" + container + "/mounts/shm rw - tmpfs shm rw\n", ""},
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
			id, err := SelfContainerID(proc)
			if id != test.want || err != nil {
				t.Errorf("%q, %v; want %q", id, err, test.want)
			}
		})
	}
	if id, err := SelfContainerID(t.TempDir()); id != "" || err != nil {
		t.Errorf("without /proc: %q, %v", id, err)
	}
}
