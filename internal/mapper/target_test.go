package mapper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/access/accesstest"
	"github.com/PabloL007/outpost/internal/graph"
)

func TestFileOfTargetsIsReloaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets")
	write := func(lines ...string) {
		t.Helper()
		next := path + ".next" // the mapper must not read a file that is half written
		if err := errors.Join(os.WriteFile(next, []byte(strings.Join(lines, "\n")), 0o600), os.Rename(next, path)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := healthy(t, "one"), healthy(t, "two")
	write("# daemons", one, "")
	m := start(t, Options{Targets: parse(t, "file:"+path), StaleAfter: time.Second}, time.Second)
	ok := func(g graph.Graph, url string) bool { return targetIn(g, url).State == graph.StateOK }
	until(t, m, func(g graph.Graph) bool { return ok(g, one) })
	write(one, two+" # another")
	until(t, m, func(g graph.Graph) bool { return ok(g, one) && ok(g, two) })
	write("dns:", two)
	until(t, m, func(g graph.Graph) bool {
		return ok(g, one) && ok(g, two) && strings.Contains(targetIn(g, "file:"+path).Reason, "line 1: target")
	})
	write(two)
	until(t, m, func(g graph.Graph) bool { return targetIn(g, one).State == graph.StateStale })
	until(t, m, func(g graph.Graph) bool { return len(g.Targets) == 1 && ok(g, two) })
}

func TestFileOfTargetsWithByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := &fileTarget{path: path}
	write("\xef\xbb\xbf192.0.2.1:9057\r\n192.0.2.2:9057\r\n")
	resolved, err := file.resolve(t.Context())
	if err != nil || len(resolved) != 2 || resolved[0].name != "192.0.2.1:9057" || resolved[1].name != "192.0.2.2:9057" {
		t.Errorf("%+v, %v", resolved, err)
	}
	write("\xff\xfe1\x00")
	resolved, err = file.resolve(t.Context())
	if err == nil || !strings.Contains(err.Error(), path+": the file is in UTF-16") || len(resolved) != 2 {
		t.Errorf("UTF-16: %+v, %v", resolved, err)
	}
}

// An equal reason must be an equal text. Otherwise each poll counts as a change and is logged.
func TestFileOfTargetsListsFailedLinesInOrder(t *testing.T) {
	path, content := filepath.Join(t.TempDir(), "targets"), []byte("dns:b.invalid:1\ndns:a.invalid:1\ndns:c.invalid:1")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	targets, err := parseLines(content)
	if err != nil {
		t.Fatal(err)
	}
	for i, target := range targets { // no lookup: it may take seconds
		targets[i].resolve = func(context.Context) ([]address, error) { return nil, errors.New(target.name) }
	}
	for range 10 {
		_, err := (&fileTarget{path: path, text: content, targets: targets}).resolve(t.Context())
		if err == nil {
			t.Fatal("names that do not exist are resolved")
		}
		text := err.Error()
		a, b, c := strings.Index(text, "a.invalid"), strings.Index(text, "b.invalid"), strings.Index(text, "c.invalid")
		if a < 0 || b < a || c < b || strings.Contains(text, "\n") {
			t.Fatalf("%q", text)
		}
	}
}

func TestDNSTarget(t *testing.T) {
	url := healthy(t, "h")
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	m := start(t, Options{Targets: parse(t, "dns:localhost:"+port, "dns:nonexistent.invalid:1")}, time.Second)
	g := until(t, m, func(g graph.Graph) bool { return targetIn(g, "127.0.0.1:"+port).State == graph.StateOK })
	if got := targetIn(g, "dns:nonexistent.invalid:1"); got.State != graph.StateFailed || !strings.Contains(got.Reason, "cannot be looked up") {
		t.Errorf("%+v", got)
	}
}

// The certificate of a DNS target must have the DNS name. A target with the same IP address must have that address.
func TestDNSTargetVerifiesTheName(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, err := tls.LoadX509KeyPair(authority.IssueToName("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "secret" || r.URL.Path != "/outpost/v1/snapshot" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		respond(t, w, snapshotFrom("h"))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	signers, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(signers)
	at := strings.TrimPrefix(server.URL, "https://")
	_, port, _ := strings.Cut(at, ":")
	m := start(t, Options{
		Targets:   parse(t, "dns:https://user:secret@localhost:"+port+"/outpost/", server.URL),
		Transport: NewTransport(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}),
	}, 5*time.Second)
	g := until(t, m, func(g graph.Graph) bool {
		return targetIn(g, "https://user:xxxxx@"+at+"/outpost").State == graph.StateOK && targetIn(g, server.URL).State == graph.StateFailed
	})
	if got := targetIn(g, server.URL); !strings.Contains(got.Reason, "x509: ") {
		t.Errorf("%+v", got)
	}
}

func TestParseTargets(t *testing.T) {
	for text, want := range map[string]string{
		"host":                    "host:9057 http://host:9057",
		"host:80":                 "host:80 http://host:80",
		"192.0.2.1":               "192.0.2.1:9057 http://192.0.2.1:9057",
		"2001:db8::1":             "[2001:db8::1]:9057 http://[2001:db8::1]:9057",
		"[2001:db8::1]:80":        "[2001:db8::1]:80 http://[2001:db8::1]:80",
		"https://host/outpost/":   "https://host/outpost/ https://host/outpost",
		"http://user:secret@host": "http://user:xxxxx@host http://user:secret@host",
	} {
		targets, err := ParseTargets([]string{text})
		if err != nil {
			t.Error(err)
			continue
		}
		found, err := targets[0].resolve(t.Context())
		if got := found[0].name + " " + found[0].url; got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "host:", "host:0", "host:http", "a b", "ftp://host", "http://", "http://host?q=1", "http://host?", "http://host#", "http://host/?", "http://host:0", "http://host:65536", "dns:name", "dns:https://name", "dns:ftp://name:80", "dns:file:80:80", "dns::80", "dns:name:0", "file:", "host/path"} {
		if targets, err := ParseTargets([]string{text}); err == nil {
			t.Errorf("%q is accepted: %+v", text, targets)
		}
	}
}
