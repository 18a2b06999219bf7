package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access/accesstest"
	"github.com/PabloL007/outpost/internal/graph"
)

// writeLines writes a file and returns its path.
func writeLines(t testing.TB, lines ...string) string {
	t.Helper()
	return writeFile(t, filepath.Join(t.TempDir(), "file"), strings.Join(lines, "\n"))
}

// runOutpost runs the binary until it exits.
func runOutpost(t testing.TB, variables []string, args ...string) (output string, status int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary, args...)
	command.Env = append(os.Environ(), variables...)
	printed, err := command.CombinedOutput()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(printed), command.ProcessState.ExitCode()
}

// awaitPoll waits until a mapper has polled its only target. The first map has no targets, because none is resolved yet.
func awaitPoll(t testing.TB, m *outpost) (target graph.Target) {
	t.Helper()
	eventually(t, func() bool {
		for _, target = range m.graph("").Targets {
			return target.State != graph.StatePending
		}
		return false
	})
	return target
}

// A daemon and a mapper require a token and a client certificate. All clients of Outpost can present them.
func TestTokenAndCertificateAreRequired(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.peer("it", []string{"-p", l.port(0) + ":80"}, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:2:"+l.address("it")+":80")
	servers, clients := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	own, ownKey := clients.Issue("mapper")
	token := writeLines(t, "a-token-of-more-than-16-characters")
	web := deployment(t, "web.yaml", "server.pem", certificate, "server.key", key, "clients.pem", clients.File)
	guarded := []string{"OUTPOST_TOKEN_FILE=" + token, "OUTPOST_WEB_CONFIG=" + web}
	credentials := []string{
		"OUTPOST_TARGET_TOKEN_FILE=" + token, "OUTPOST_TARGET_CA_FILE=" + servers.File,
		"OUTPOST_TARGET_CERT_FILE=" + own, "OUTPOST_TARGET_KEY_FILE=" + ownKey,
	}
	daemon := start(t, append(guarded, interfaces)...)
	url := strings.Replace(daemon.url, "http://", "https://", 1)

	user := strings.Replace(url, "https://", "https://alice:PASSWORD@", 1)
	for name, test := range map[string]struct {
		url       string
		variables []string
		state     graph.State
		reason    string
	}{
		"all credentials": {url, credentials, graph.StateOK, ""},
		"a user":          {user, credentials[1:], graph.StateOK, ""},
		"no token":        {url, credentials[1:], graph.StateFailed, "responds 401 Unauthorized"},
		"no certificate":  {url, credentials[:2], graph.StateFailed, "certificate required"},
		"no authority":    {url, credentials[:1], graph.StateFailed, "x509: certificate signed by unknown authority"},
	} {
		m := startMapper(t, []string{test.url}, test.variables...)
		if got := awaitPoll(t, m); got.State != test.state || !strings.Contains(got.Reason, test.reason) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A mapper that requires credentials accepts the same ones.
	m := startMapper(t, []string{url}, append(guarded, credentials...)...)
	mapper := strings.Replace(m.url, "http://", "https://", 1)
	eventually(t, func() bool {
		output, _ := runOutpost(t, credentials, "links", "--from", mapper)
		return strings.Contains(output, l.Name("client"))
	})
	for _, args := range [][]string{{"links", "--from", url}, {"ls", "--from", url}, {"links"}} {
		variables := append(append([]string{"OUTPOST_LISTEN=" + strings.TrimPrefix(url, "https://")}, guarded...), credentials...)
		if output, status := runOutpost(t, variables, args...); status != 0 || !strings.Contains(output, l.Name("it")) {
			t.Errorf("%q: %d %s", args, status, output)
		}
		if output, status := runOutpost(t, variables[:3], args...); status != 1 || strings.Contains(output, l.Name("it")) {
			t.Errorf("%q without credentials: %d %s", args, status, output)
		}
	}
	if output, status := runOutpost(t, append(guarded, "OUTPOST_LISTEN="+strings.TrimPrefix(url, "https://")), "healthcheck"); status != 0 {
		t.Errorf("healthcheck: %d %s", status, output)
	}
}

// A server that answers everybody on the network logs one warning. On loopback, or with a token, it logs none.
func TestOpenAddressIsLoggedOnce(t *testing.T) {
	newLab(t)
	const warning = "Everybody who reaches this address can read"
	for name, test := range map[string]struct {
		variables []string
		times     int
	}{
		"loopback": {nil, 0},
		"beyond":   {[]string{"OUTPOST_LISTEN=0.0.0.0:0"}, 1},
		"a token":  {[]string{"OUTPOST_LISTEN=0.0.0.0:0", "OUTPOST_TOKEN_FILE=" + writeLines(t, strings.Repeat("x", 16))}, 0},
	} {
		for _, o := range []*outpost{start(t, test.variables...), startMapper(t, []string{"127.0.0.1:1"}, test.variables...)} {
			if n := o.countLogLines(warning); n != test.times {
				t.Errorf("%s: %d warnings, want %d:\n%s", name, n, test.times, o.logged())
			}
		}
	}
}

// Neither log nor answers nor errors contain the passwords of targets.
func TestPasswordsAreNotPrinted(t *testing.T) {
	newLab(t)
	const secret = "of-nobody-else"
	m := startMapper(t, []string{"http://user:" + secret + "@127.0.0.1:1/"}, "LOG_LEVEL=DEBUG")
	if got := awaitPoll(t, m); got.State != graph.StateFailed {
		t.Errorf("%+v", got)
	}
	for name, text := range map[string]string{"log": m.logged(), "map": m.get("/v1/graph").body, "metrics": m.get("/metrics").body} {
		if strings.Contains(text, secret) {
			t.Errorf("password in the %s: %s", name, text)
		}
	}
	for _, args := range [][]string{{"map", "http://user:" + secret + "@host?x"}, {"ls", "--from", "http://user:" + secret + "@127.0.0.1:1"}, {"ls", "--from", "user:" + secret + "@127.0.0.1"}, {"map", "http://user:1/" + secret + "@host"}} {
		if output, status := runOutpost(t, nil, args...); status == 0 || strings.Contains(output, secret) {
			t.Errorf("%q: %d %s", args, status, output)
		}
	}
}

// Each line of the JSON log has time, level and message. The console log is text without escape sequences, whatever the names
// of containers contain.
func TestLogIsJSONOrConsoleText(t *testing.T) {
	l := newLab(t)
	l.run("scratch", bare, "/peer", "listen:tcp4:0.0.0.0:80")
	structured := start(t, execOnly)
	structured.connections()
	for line := range strings.Lines(structured.logged()) {
		var entry struct{ Time, Level, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Message == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	console := start(t, execOnly, "LOG_FORMAT=console")
	console.connections()
	eventually(t, func() bool {
		return strings.Contains(console.logged(), "WRN The container could not be read completely")
	})
	if err := console.process.Signal(os.Interrupt); err != nil { // as Ctrl-C does
		t.Fatal(err)
	}
	<-console.done
	if text := console.logged(); console.status != 0 || strings.ContainsAny(text, "\x1b{") {
		t.Errorf("%d %q", console.status, text)
	}
}

// Profiles are served at the address of OUTPOST_PPROF only, and only to clients that ask for it by that address.
func TestProfilesAreServedWhereConfigured(t *testing.T) {
	l := newLab(t)
	o := start(t, profiled)
	if a := o.get("/debug/pprof/"); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, o.serving("Serving profiles")+"/debug/pprof/goroutine?debug=1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), "goroutine profile: total") {
		t.Errorf("%v %d %.100s", err, response.StatusCode, body)
	}
	for path, host := range map[string]string{"/debug/pprof/cmdline": "localhost", "/debug/pprof/": "evil.example"} {
		request.URL.Path, request.URL.RawQuery, request.Host = path, "", host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMisdirectedRequest && response.StatusCode != http.StatusNotFound {
			t.Errorf("%s of %s: %d", path, host, response.StatusCode)
		}
	}
	if output, status := runOutpost(t, []string{fmt.Sprint("OUTPOST_PPROF=0.0.0.0:", l.port(1))}); status != 2 || !strings.Contains(output, "a loopback address") {
		t.Errorf("%d %s", status, output)
	}
}
