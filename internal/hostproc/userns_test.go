package hostproc

import "testing"

func TestIdentityMap(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n":                               true,
		"         0     100000      65536\n":                               false, // userns-remap
		"         0       1000          1\n         1     100000  65536\n": false, // rootless
		"": false,
	} {
		if got := isIdentityMap(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
