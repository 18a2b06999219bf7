package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func runWith(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

func TestVersionIsPrinted(t *testing.T) {
	for _, arg := range []string{"version", "--version"} {
		if status, stdout, _ := runWith(t, arg); status != 0 || strings.TrimSpace(stdout) == "" || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: status %d, %q", arg, status, stdout)
		}
	}
}

func TestWrongUseIsOneLine(t *testing.T) {
	pems := t.TempDir()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(pems, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(pems, "wrong"), []byte("payments\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args     []string
		variable string
		value    string
		status   int
		line     string
	}{
		"unknown command":     {args: []string{"fly"}, status: 2, line: `outpost: unknown command "fly"; see outpost --help`},
		"a target alone":      {args: []string{"https://alice:secret@host"}, status: 2, line: `outpost: unknown command "…@host"; see outpost --help`},
		"target of serve":     {args: []string{"serve", "https://alice:secret@host"}, status: 2, line: `outpost: too many arguments: "…@host"; see outpost --help`},
		"unknown flag":        {args: []string{"--fly"}, status: 2, line: `outpost: unknown flag "--fly"; see outpost --help`},
		"unknown shorthand":   {args: []string{"version", "-fly"}, status: 2, line: `outpost: version: unknown flag "-fly"; usage: outpost version`},
		"a target as a flag":  {args: []string{"map", "--https://alice:secret@host"}, status: 2, line: `outpost: map: unknown flag "…@host"; usage: outpost map [TARGET…]`},
		"bad flag":            {args: []string{"map", "--=alice:secret@host"}, status: 2, line: `outpost: map: bad flag syntax: "…@host"; usage: outpost map [TARGET…]`},
		"no value":            {args: []string{"ls", "--from"}, status: 2, line: `outpost: ls: flag needs an argument: --from; usage: outpost ls [--json] [--from URL] [--container NAME|ID] [--project NAME]`},
		"wrong value of flag": {args: []string{"links", "--from", "alice:secret@host"}, status: 2, line: `outpost: links: --from: want an address such as http://localhost:9057; usage: outpost links [--json]`},
		"wrong view":          {args: []string{"links", "--depth", "0"}, status: 2, line: `outpost: links: depth="0": want a whole number from 1 to 100; usage: outpost links [--json]`},
		"no target":           {args: []string{"map"}, status: 2, line: `outpost: map: no targets: name daemons`},
		"wrong target":        {args: []string{"map", "dns:name"}, status: 2, line: `outpost: map: target "dns:name": want dns:NAME:PORT or dns:https://NAME:PORT, such as dns:tasks.outpost:9057`},
		"wrong names":         {args: []string{"map", "a"}, variable: "OUTPOST_NAMES", value: filepath.Join(pems, "wrong"), status: 2, line: `outpost: OUTPOST_NAMES="` + filepath.Join(pems, "wrong") + `": line 1: "payments": want a network and a name`},
		"wrong links":         {variable: "OUTPOST_LINKS", value: filepath.Join(pems, "wrong"), status: 2, line: `outpost: OUTPOST_LINKS: ` + filepath.Join(pems, "wrong") + `: line 1: "payments": want a label and a URL`},
		"wrong links of map":  {args: []string{"map", "a"}, variable: "OUTPOST_LINKS", value: filepath.Join(pems, "wrong"), status: 2, line: `outpost: OUTPOST_LINKS: ` + filepath.Join(pems, "wrong") + `: line 1: "payments": want a label and a URL`},
		"too many arguments":  {args: []string{"version", "now"}, status: 2, line: `outpost: too many arguments: "now"; see outpost --help`},
		"wrong value":         {variable: "WORKERS", value: "many", status: 2, line: `outpost: WORKERS="many": want a whole number from 1 to 1000`},
		"wrong address":       {variable: "OUTPOST_LISTEN", value: "9057", status: 2, line: `outpost: OUTPOST_LISTEN="9057": want [address]:port, such as :9057, 127.0.0.1:9057 or [::1]:9057`},
		"wrong pem files":     {variable: "DOCKER_CERT_PATH", value: pems, status: 2, line: `outpost: DOCKER_CERT_PATH="` + pems + `", DOCKER_HOST="": docker client: could not load X509 key pair`},
		"wrong engine":        {variable: "DOCKER_HOST", value: "docker", status: 2, line: `outpost: DOCKER_HOST="docker": want unix://path, tcp://host:port, http://host:port or https://host:port`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.variable != "" {
				t.Setenv(test.variable, test.value)
			}
			status, _, stderr := runWith(t, test.args...)
			if status != test.status || !strings.HasPrefix(stderr, test.line) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, %q; want %d, %q", status, stderr, test.status, test.line)
			}
		})
	}
}

func TestNamesWithByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("\xef\xbb\xbf192.0.2.0/24 payments\r\n198.51.100.7 backup\r\n")
	names, err := readNames(path)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"192.0.2.9": "payments", "198.51.100.7": "backup"} {
		if got := names.NameOf(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	write("\xfe\xff\x001")
	if _, err := readNames(path); err == nil || !strings.Contains(err.Error(), path+": the file is in UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
}

func TestOccupiedPortIsAnError(t *testing.T) {
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	t.Setenv("OUTPOST_LISTEN", taken.Addr().String())
	if status, _, stderr := runWith(t); status != 1 || !strings.Contains(stderr, "address already in use") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestUnknownVariableIsAWarning(t *testing.T) {
	t.Setenv("OUTPOST_INTERFACE", "10.0.0.1")
	t.Setenv("DOCKER_HOST", "unix:///nonexistent") // must not read the containers of the test's own host
	t.Setenv("OUTPOST_LISTEN", "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	var stderr lockedBuffer
	ended := make(chan int)
	go func() { ended <- run(ctx, nil, &stderr, &stderr) }()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(stderr.String(), "Serving"); {
		if time.Now().After(deadline) {
			t.Fatalf("not serving: %s", stderr.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(stderr.String(), `"level":"warn","variable":"OUTPOST_INTERFACE"`) {
		t.Errorf("no warning in %s", stderr.String())
	}
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestHealthcheckReportsTheDaemon(t *testing.T) {
	alive := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" || !alive {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Setenv("OUTPOST_LISTEN", server.Listener.Addr().String())
	if status, _, stderr := runWith(t, "healthcheck"); status != 0 {
		t.Errorf("status %d, %s", status, stderr)
	}
	alive = false
	if status, _, _ := runWith(t, "healthcheck"); status != 1 {
		t.Errorf("unhealthy: status %d", status)
	}
	server.Close()
	if status, _, _ := runWith(t, "healthcheck"); status != 1 {
		t.Errorf("stopped: status %d", status)
	}
}

// A daemon is alive although the engine is down, but only a restart of its container mounts the file of a new socket.
func TestHealthcheckReportsAReplacedSocket(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	t.Setenv("OUTPOST_LISTEN", server.Listener.Addr().String())
	path := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) // keeps the file, as a mount does
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	t.Setenv("DOCKER_HOST", fmt.Sprintf("unix:///proc/self/fd/%d", fd))
	if status, _, stderr := runWith(t, "healthcheck"); status != 0 {
		t.Errorf("status %d, %s", status, stderr)
	}
	if err := listener.Close(); err != nil { // removes the file from its directory
		t.Fatal(err)
	}
	if status, _, stderr := runWith(t, "healthcheck"); status != 1 || !strings.Contains(stderr, "is the file of an earlier socket") {
		t.Errorf("status %d, %s", status, stderr)
	}
	t.Setenv("DOCKER_HOST", "unix://"+path)
	if status, _, stderr := runWith(t, "healthcheck"); status != 0 {
		t.Errorf("the engine is down: status %d, %s", status, stderr)
	}
}

func TestSingleDashesAreAccepted(t *testing.T) {
	status, stdout, stderr := runWith(t, "ls", "-json", "-from="+serveSnapshot(t, http.StatusOK, snapshotJSON), "-container", "web")
	if status != 0 || !strings.Contains(stdout, `"takenAt"`) {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}
