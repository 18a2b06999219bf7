package engine

import (
	"io/fs"
	"strings"
	"testing"
)

// The remedy for a denied socket names the smallest right that permits to use it.
func TestRemedyForTheModeOfASocket(t *testing.T) {
	const root, nobody, docker, users = 0, 65534, 999, 100
	for _, test := range []struct {
		mode         fs.FileMode
		owner, group int
		user         int
		groups       []int
		want         string
	}{
		{0o660, root, docker, nobody, []int{nobody}, "start Outpost with its group, --group-add 999"},
		{0o660, root, root, nobody, []int{nobody}, "start Outpost with its group, --group-add 0"},
		{0o600, root, docker, nobody, []int{nobody}, "start Outpost as its user, --user 0"},
		{0o600, 1000, users, nobody, []int{users}, "start Outpost as its user, --user 1000"},
		{0o660, root, docker, nobody, []int{nobody, docker}, "SELinux"},
		{0o660, root, docker, root, []int{root}, "SELinux"},
	} {
		if got := modeRemedy(test.mode, test.owner, test.group, test.user, test.groups); !strings.Contains(got, test.want) {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
