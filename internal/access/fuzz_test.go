package access

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No Authorization header is accepted unless it has a token of the file.
func FuzzPresentedToken(f *testing.F) {
	const token = "a-token-of-more-than-16-characters"
	for _, shown := range []string{"", "Bearer", "Bearer " + token, "bearer  " + token + " ", "Basic Ojo=", "Basic OmEtdG9rZW4tb2YtbW9yZS10aGFuLTE2LWNoYXJhY3RlcnM=", "Basic " + token} {
		f.Add(shown)
	}
	path := filepath.Join(f.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
		f.Fatal(err)
	}
	known := &tokenFile{path: path}
	f.Fuzz(func(t *testing.T, shown string) {
		request := &http.Request{Header: http.Header{"Authorization": {shown}}}
		_, password, _ := request.BasicAuth()
		if !known.has(presentedToken(request)) {
			return
		}
		if scheme, rest, _ := strings.Cut(shown, " "); password != token && (!strings.EqualFold(scheme, "bearer") || strings.TrimSpace(rest) != token) {
			t.Errorf("%q is accepted", shown)
		}
	})
}

// No name is accepted but those of this host.
func FuzzIsOwnName(f *testing.F) {
	for _, host := range []string{"", "localhost", "localhost:9057", "LOCALHOST.", "[::1]:9057", "[::1%25eth0]", "evil.example", "127.0.0.1.evil.example", "outpost.example:1", "a:b:c", "]:1", "\xff"} {
		f.Add(host)
	}
	g := &Guard{Options: Options{Hosts: []string{"outpost.example"}}}
	f.Fuzz(func(t *testing.T, host string) {
		name := normalizeHost(host)
		if !g.isOwnName(name) {
			return
		}
		if _, err := netip.ParseAddr(name); err != nil && name != "" && name != "localhost" && name != "outpost.example" {
			t.Errorf("%q is accepted as %q", host, name)
		}
		if strings.HasSuffix(name, ".evil.example") {
			t.Errorf("%q is accepted", host)
		}
	})
}
