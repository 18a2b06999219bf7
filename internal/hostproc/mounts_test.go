package hostproc

import "testing"

func TestContainerOfMounts(t *testing.T) {
	const infra = "6265c3e872d4166ab693b46aaa866170e3cf4536622ecd1ddfd61eb018e42a02"
	for line, want := range map[string]string{
		"62 59 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n":                      id,
		"62 59 8:1 /home/user/.local/share/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n": id,
		"62 59 0:9 /containers/overlay-containers/" + id + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n":                  id,
		"62 59 0:9 /containers/storage/vfs-containers/" + id + "/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n":        id,
		"224 60 0:9 /containers/storage/overlay-containers/" + infra + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n" + // of its pod
			"227 60 0:9 /containers/storage/overlay-containers/" + id + "/userdata/.containerenv /run/.containerenv rw - tmpfs tmpfs rw\n": id,
		"62 59 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/other rw - ext4 /dev/sda1 rw\n":        "",
		"62 59 8:1 /var/lib/docker/containers/" + id[1:] + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n": "",
		"62 59 8:1 / /etc/hostname rw - ext4 /var/lib/docker/containers/" + id + "/hostname rw\n":             "",
		"": "",
	} {
		if got := ContainerOfMounts(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
