package graph

import (
	"net/netip"
	"strings"
	"testing"
)

func FuzzNames(f *testing.F) {
	f.Add("192.0.2.0/24 payments # of somebody\n\n2001:db8::/32\tdata bases\n198.51.100.7 one", "192.0.2.1")
	f.Add("0.0.0.0/0 all\n::/0 all", "::1")
	f.Add("192.0.2.0/33 none", "")
	f.Add("::ffff:192.0.2.1 mapped", "192.0.2.1")
	f.Fuzz(func(t *testing.T, text, addr string) {
		names, err := ReadNames(strings.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than a line", err)
			}
			return
		}
		parsed, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		if name := names.NameOf(parsed); name != "" && !strings.Contains(text, strings.TrimSuffix(name, "…")) {
			t.Errorf("%s is called %q, which is not in %q", addr, name, text)
		}
	})
}
