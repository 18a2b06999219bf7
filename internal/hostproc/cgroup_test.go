package hostproc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const id = "4f5c000000000000000000000000000000000000000000000000000000000a1b"

func TestContainerIDs(t *testing.T) {
	const pod = "777d501ebe8055d75f08a8f2a6bf2d74b76f30a1f20b7f5ace95b71b8631d8cd"
	const inner = "9999000000000000000000000000000000000000000000000000000000000a1b"
	for cgroups, want := range map[string][]string{
		"0::/docker/" + id + "\n":                                                                         {id},
		"0::/system.slice/docker-" + id + ".scope\n":                                                      {id},
		"0::/libpod_parent/libpod-" + id + "\n":                                                           {id},
		"0::/libpod_parent/" + pod + "/libpod-" + id + "\n":                                               {pod, id},
		"0::/libpod_parent/conmon\n":                                                                      nil,
		"0::/machine.slice/libpod-" + id + ".scope/container\n":                                           {id},
		"0::/machine.slice/libpod-conmon-" + id + ".scope\n":                                              nil,
		"0::/machine.slice/machine-libpod_pod_" + pod + ".slice/libpod-" + id + ".scope\n":                {id},
		"0::/machine.slice/machine-libpod_pod_" + pod + ".slice/libpod-conmon-" + id + ".scope\n":         nil,
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope/container\n": {id},
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-" + id + ".scope\n":    nil,
		"0::/system.slice/outpost.service/libpod-payload-" + id + "\n":                                    {id}, // of a quadlet
		"0::/system.slice/outpost.service/runtime\n":                                                      nil,
		"12:memory:/docker/" + id + "\n11:cpu:/docker/" + id + "\n0::/\n":                                 {id},
		"4:memory:/../" + id + "\n":                                                                       {id},
		"0::/docker/" + id + "/init.scope\n":                                                              {id},
		"0::/docker/" + id + "/docker/" + inner:                                                           {id, inner},
		"0::/docker/" + id[:63] + "\n":                                                                    nil,
		"0::/docker/" + id + "0\n":                                                                        nil,
		"0::/docker/0" + id + "\n":                                                                        nil,
		"0::/docker/" + strings.ToUpper(id) + "\n":                                                        nil,
		"0::/docker/x" + id + "\n":                                                                        nil,
		"0::/docker/" + id + ".scope.d\n":                                                                 nil,
		"0::/user.slice\n":                                                                                nil,
		"":                                                                                                nil,
	} {
		if got := containerIDs(cgroups); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", cgroups, got, want)
		}
	}
}

func FuzzIDsIn(f *testing.F) {
	f.Add("0::/docker/" + id + "\n")
	f.Add("4:memory:/../" + id + "/system.slice/docker-" + id + ".scope")
	f.Fuzz(func(t *testing.T, cgroups string) {
		for _, got := range containerIDs(cgroups) {
			if len(got) != 64 || !strings.Contains(cgroups, got) {
				t.Errorf("%q", got)
			}
		}
		if path, err := (&Process{cgroups: cgroups}).cgroupPath(id); err == nil && !strings.Contains(path, id) {
			t.Errorf("%q", path)
		}
	})
}

func TestCgroupPath(t *testing.T) {
	for cgroups, want := range map[string]struct {
		path string
		err  error
	}{
		"0::/docker/" + id + "\n":                             {"/docker/" + id, nil},
		"0::/docker/" + id + "/init.scope\n":                  {"/docker/" + id, nil},
		"0::/system.slice/docker-" + id + ".scope\n":          {"/system.slice/docker-" + id + ".scope", nil},
		"0::/system.slice/docker-" + id + ".scope/a":          {"/system.slice/docker-" + id + ".scope", nil},
		"0::/machine.slice/libpod-" + id + ".scope/container": {"/machine.slice/libpod-" + id + ".scope", nil},
		"0::/libpod_parent/libpod-" + id + "\n":               {"/libpod_parent/libpod-" + id, nil},
		"0::/../" + id + "\n":                                 {"", ErrCgroupNamespace},
		"1:cpu:/docker/" + id + "\n0::/\n":                    {"", ErrCgroupV1},
		"0::/\n":                                              {"", ErrCgroupNamespace}, // Outpost's own
		"":                                                    {"", ErrCgroupV1},
	} {
		path, err := (&Process{cgroups: cgroups}).cgroupPath(id)
		if path != want.path || !errors.Is(err, want.err) {
			t.Errorf("%q: %q, %v", cgroups, path, err)
		}
	}
}

func TestCgroupIDsBelow(t *testing.T) {
	directory := t.TempDir()
	if err := os.MkdirAll(filepath.Join(directory, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "cgroup.procs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ids, err := cgroupIDsBelow(directory); err != nil || len(ids) != 3 {
		t.Errorf("%v, %v", ids, err)
	}
}
