package hostproc

import "testing"

func TestContainerOfMounts(t *testing.T) {
	for line, want := range map[string]string{
		"62 59 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n":                      id,
		"62 59 8:1 /home/user/.local/share/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw\n": id,
		"62 59 0:9 /containers/overlay-containers/" + id + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n":                  id,
		"62 59 8:1 /var/lib/docker/containers/" + id + "/hostname /etc/other rw - ext4 /dev/sda1 rw\n":                         "",
		"62 59 8:1 /var/lib/docker/containers/" + id[1:] + "/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n":                  "",
		"62 59 8:1 / /etc/hostname rw - ext4 /var/lib/docker/containers/" + id + "/hostname rw\n":                              "",
		"": "",
	} {
		if got := containerOfMounts(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
