package mapper

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/correlate"
	"github.com/PabloL007/outpost/internal/graph"
)

// Any response, in either format, is an error or can be correlated and written.
func FuzzAnswer(f *testing.F) {
	valid, err := json.Marshal(snapshotFrom("h"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid, false)
	f.Add([]byte(`[{"name":"/a","artefact":"i","listening":[{"address":"192.0.2.1","port":80},{"address":"0.0.0.0","port":81}],"established":[{"address":"::1","port":1}]}]`), true)
	f.Add([]byte(`{"version":2}`), false)
	f.Add([]byte(`{"version":1,"host":{"addresses":[""]},"containers":{}}`), false)
	f.Add([]byte(`[{},{},null]`), true)
	f.Fuzz(func(t *testing.T, text []byte, old bool) {
		format := formatSnapshot
		if old {
			format = formatConnections
		}
		document, err := decode(bytes.NewReader(text), format)
		if err != nil {
			if text := explain(t.Context(), err).Error(); text == "" || strings.ContainsAny(text, "\x00\n") {
				t.Errorf("%q", text)
			}
			return
		}
		host := correlate.NewHost(document, netip.Addr{}, nil, time.Now())
		if err := graph.WriteJSON(&bytes.Buffer{}, correlate.Build([]correlate.PolledHost{{Target: "foreign", Host: host, State: graph.StateOK}}, nil)); err != nil {
			t.Error(err)
		}
	})
}

// A target, which may come from a file of somebody else, is an error or an address without a password in its name.
func FuzzTarget(f *testing.F) {
	for _, text := range []string{"host", "host:80", "[::1]:80", "http://user:secret@host/path/", "https://host", "dns:name:80", "dns:https://user:secret@name:80/path", "::1", "http://%", "a@b", "http://host?", "http://host#"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseLine(text)
		if err != nil {
			return
		}
		if address, ok := strings.CutPrefix(text, "dns:"); ok { // a fuzz test must not use DNS
			expectRedacted(t, address, target.name)
			return
		}
		found, err := target.resolve(t.Context())
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		u, err := url.Parse(found[0].url + "/v1/snapshot")
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
			t.Errorf("%q has URL %q: %v", text, found[0].url, err)
			return
		}
		expectRedacted(t, found[0].url, found[0].name)
	})
}

// expectRedacted fails if the name of a target has its password.
func expectRedacted(t *testing.T, target, name string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		return // host:port
	}
	if password, ok := u.User.Password(); ok && len(password) > 5 && !strings.Contains(u.Redacted(), password) && strings.Contains(name, password) {
		t.Errorf("%q has name %q", target, name)
	}
}
