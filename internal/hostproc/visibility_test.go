package hostproc

import (
	"strings"
	"testing"
)

func TestHidepidOptions(t *testing.T) {
	for options, want := range map[string]bool{
		"rw": false, "rw,hidepid=0": false, "rw,hidepid=off": false, "rw,hidepid=1": true, "rw,hidepid=invisible": true, "rw,hidepid=ptraceable": true,
		"rw,gid=5,hidepid=2": true, "rw,gid=7,hidepid=2": false, "rw,hidepid=2,gid=8": false, "": false, "rw,gid=x,hidepid=2": true,
	} {
		if got := optionsHide(strings.Split(options, ","), 7, []int{8, 9}); got != want {
			t.Errorf("%s: %v", options, got)
		}
	}
	const mounts = `21 26 0:20 / /proc rw,relatime - proc proc rw
not a mount
22 26 0:21 / /host/proc ro,relatime shared:9 - proc proc rw,gid=5,hidepid=invisible
23 26 0:22 / /a\040b rw - proc proc rw,hidepid=1
24 26 0:22 / /cut rw -
`
	for path, want := range map[string]string{"/proc": "rw", "/host/proc/": "rw,gid=5,hidepid=invisible", "/a b": "rw,hidepid=1", "/cut": "", "/else": ""} {
		if got := strings.Join(mountOptions(mounts, path), ","); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("Name:\toutpost\nCapEff:\t00000000a80425fb\n")
	f.Add("CapEff:\tffffffffffffffffffff\n")
	f.Add("CapEff:")
	f.Fuzz(func(t *testing.T, status string) {
		if capabilities, err := parseCapabilities(status); err == nil && capabilities != 0 && !strings.Contains(status, "CapEff:") {
			t.Errorf("%x of %q", capabilities, status)
		}
		optionsHide(strings.Split(status, ","), 1, []int{2})
	})
}
