// Package e2e runs the real binary and the real image against a real engine.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/lab"
)

// What TestMain makes for all tests.
var (
	binary string                          // path of the daemon; empty where there is no engine
	tools  string                          // name of an image with busybox and peer
	bare   string                          // name of an image with peer alone, as /peer
	image  func() (name string, err error) // builds the daemon's image, once
	ship   func() (path string, err error) // builds the daemon as it is released, once
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	shared := lab.New(fmt.Sprintf("e2e-%d", os.Getpid()), nil)
	if _, err := shared.Docker(ctx, "version"); err != nil {
		if os.Getenv("CI") == "true" {
			fmt.Fprintln(os.Stderr, "e2e: no Docker engine answers:", err)
			return 1
		}
		fmt.Fprintln(os.Stderr, "e2e: no Docker engine answers; every test is skipped:", err)
		return m.Run() // where each test skips itself
	}
	directory, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() {
		_ = os.RemoveAll(directory)
		if err := shared.Close(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}()
	if err := prepare(ctx, shared, directory); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

func prepare(ctx context.Context, shared *lab.Lab, directory string) error {
	binary = filepath.Join(directory, "outpost")
	if err := build(ctx, binary, buildFlags); err != nil {
		return err
	}
	ship = sync.OnceValues(func() (string, error) {
		path := filepath.Join(directory, "released")
		return path, build(ctx, path, releaseFlags)
	})
	files, err := lab.Tools(ctx)
	if err != nil {
		return err
	}
	if tools, err = shared.Import(ctx, "tools", files); err != nil {
		return err
	}
	image = sync.OnceValues(func() (string, error) {
		name := shared.Name("outpost")
		build := exec.CommandContext(ctx, filepath.Join("..", "..", ".ci", "image"), name, imageVersion(), shared.Label())
		if output, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("image: %w: %s", err, output)
		}
		return name, nil
	})
	bare, err = shared.Import(ctx, "bare", map[string]lab.File{"peer": files["bin/peer"]})
	return err
}

// releaseFlags build the daemon as it is released.
var releaseFlags = []string{"-trimpath", "-ldflags=-s -w"}

func build(ctx context.Context, path string, flags []string) error {
	command := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), "github.com/PabloL007/outpost/cmd/outpost")...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, output)
	}
	return nil
}

// released is the path of the daemon as it is released: the race detector makes it some ten times as slow and as large, so
// that its limits of time and memory are others.
func released(t testing.TB) string {
	t.Helper()
	path, err := ship()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// imageVersion is the version that the daemon in the image says it has: that of `make image`, which may have built it.
func imageVersion() string {
	if version := os.Getenv("VERSION"); version != "" {
		return version
	}
	return "v0.0.0-e2e"
}

// newLab returns a lab of the test's own that is empty again after it. Without an engine the test ends here.
func newLab(t testing.TB) *testLab {
	t.Helper()
	if binary == "" {
		t.Skip("no Docker engine answers")
	}
	name := strings.ToLower(regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(t.Name(), "-"))
	l := &testLab{lab.New(fmt.Sprintf("e2e-%d-%s", os.Getpid(), name), nil), t, freePorts(t)}
	t.Cleanup(func() {
		if err := l.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return l
}

// testLab is a lab whose errors end the test.
type testLab struct {
	*lab.Lab
	t         testing.TB
	firstPort int
}

// portsOfATest is how many ports of the host a test has for itself.
const portsOfATest = 10

// port returns one of the host's ports that the test has for itself.
func (l *testLab) port(i int) string { return strconv.Itoa(l.firstPort + i) }

// freePorts returns the first of some ports that nobody uses, below those that the kernel gives to clients.
func freePorts(t testing.TB) int {
	t.Helper()
	const lowest, highest = 20000, 30000
	for range 100 {
		first := lowest + rand.IntN((highest-lowest)/portsOfATest)*portsOfATest
		if allFree(t, first) {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func allFree(t testing.TB, first int) bool {
	t.Helper()
	var config net.ListenConfig
	for port := first; port < first+portsOfATest; port++ {
		listener, err := config.Listen(t.Context(), "tcp", fmt.Sprint(":", port))
		if err != nil {
			return false
		}
		_ = listener.Close()
	}
	return true
}

func (l *testLab) docker(args ...string) string {
	l.t.Helper()
	output, err := l.Docker(l.t.Context(), args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return output
}

// run starts a container; see lab.Lab.Run.
func (l *testLab) run(part string, args ...string) (id string) {
	l.t.Helper()
	id, err := l.Run(l.t.Context(), part, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return id
}

// peer starts a container of the tools image that does as peer is told, and waits until it has.
func (l *testLab) peer(part string, options []string, instructions ...string) (id string) {
	l.t.Helper()
	id = l.run(part, append(append(options, tools, "peer"), instructions...)...)
	if err := l.Ready(l.t.Context(), part); err != nil {
		l.t.Fatal(err)
	}
	return id
}

func (l *testLab) imported(part string, files map[string]lab.File) string {
	l.t.Helper()
	name, err := l.Import(l.t.Context(), part, files)
	if err != nil {
		l.t.Fatal(err)
	}
	return name
}

func (l *testLab) toolFiles() map[string]lab.File {
	l.t.Helper()
	files, err := lab.Tools(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return files
}

func (l *testLab) address(part string) string {
	l.t.Helper()
	return l.docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", l.Name(part))
}

// outpost is a daemon that runs on the host.
type outpost struct {
	t       testing.TB
	url     string
	process *os.Process
	done    chan struct{}
	status  int    // after done
	log     string // the path of what it has logged
}

// start starts a daemon with variables given as "NAME=value" and waits until it serves.
func start(t testing.TB, variables ...string) *outpost {
	t.Helper()
	return startCommand(t, exec.Command(binary), variables...) //nolint:noctx // it is ended with SIGTERM
}

// startCommand is start by a command that becomes the daemon.
func startCommand(t testing.TB, command *exec.Cmd, variables ...string) *outpost {
	t.Helper()
	environ := command.Env
	if environ == nil {
		environ = os.Environ()
	}
	// Without samples of the memory, looking at what a daemon holds takes next to none of it.
	command.Env = append(append(environ, "OUTPOST_LISTEN=127.0.0.1:0", "GODEBUG=memprofilerate=0"), variables...)
	// What it has logged before it answers is in a file by then; in a pipe it would be on its way.
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the daemon has its own descriptor
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	o := &outpost{t: t, process: command.Process, done: make(chan struct{}), log: log.Name()}
	go func() {
		_ = command.Wait() // the status says what went wrong
		o.status = command.ProcessState.ExitCode()
		close(o.done)
	}()
	t.Cleanup(func() {
		if status := o.end(); status != 0 {
			t.Errorf("the daemon ended with %d:\n%s", status, o.logged())
		}
	})
	for limit := time.Now().Add(20 * time.Second); o.url == ""; o.url = o.serving("Serving") {
		select {
		case <-o.done:
			t.Fatalf("the daemon ended with %d:\n%s", o.status, o.logged())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("the daemon does not serve:\n%s", o.logged())
		}
	}
	return o
}

// serving returns where the daemon says that it serves something, or nothing if it has not said so.
func (o *outpost) serving(message string) (url string) {
	for line := range strings.Lines(o.logged()) {
		var entry struct{ Message, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == message {
			return "http://" + entry.Address
		}
	}
	return ""
}

// end ends the daemon as an engine does, and returns its exit status.
func (o *outpost) end() int {
	_ = o.process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-o.done:
	case <-time.After(30 * time.Second):
		_ = o.process.Kill()
		<-o.done
	}
	return o.status
}

func (o *outpost) logged() string {
	o.t.Helper()
	if o.log == "" { // it runs in a container, which has it
		return ""
	}
	log, err := os.ReadFile(o.log)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(log)
}

// connections is an entry of the answer.
type connections struct {
	Name        string     `json:"name"`
	Artefact    string     `json:"artefact"`
	Listening   []endpoint `json:"listening"`
	Established []endpoint `json:"established"`
}

type endpoint struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

func (e endpoint) String() string { return fmt.Sprintf("%s %d", e.Address, e.Port) }

type answer struct {
	t          testing.TB
	status     int
	header     http.Header
	body       string
	containers map[string]connections
}

// get asks for a path; an error ends the test.
func (o *outpost) get(path string) *answer {
	o.t.Helper()
	a, err := o.ask(path)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// ask asks for a path, and decodes the answer strictly if it is a list.
func (o *outpost) ask(path string) (*answer, error) {
	request, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{t: o.t, body: string(body)}
	if response.StatusCode == http.StatusOK && strings.HasPrefix(a.body, "[") {
		if a, err = decodeAnswer(o.t, a.body); err != nil {
			return nil, err
		}
	}
	a.status, a.header = response.StatusCode, response.Header
	return a, nil
}

// decodeAnswer decodes a list strictly.
func decodeAnswer(t testing.TB, body string) (*answer, error) {
	a := &answer{t: t, body: body, containers: make(map[string]connections)}
	var list []connections
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("%w in %s", err, body)
	}
	for _, c := range list {
		a.containers[c.Name] = c
	}
	return a, nil
}

func (o *outpost) connections() *answer {
	o.t.Helper()
	a := o.get("/connections")
	if a.status != http.StatusOK {
		o.t.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

// incomplete reports whether the answer says that something of the container is missing.
func (a *answer) incomplete(name string) bool {
	for n := range strings.SplitSeq(a.header.Get("Outpost-Incomplete"), ", ") {
		if n == "/"+name {
			return true
		}
	}
	return false
}

// expect holds a complete container against the endpoints that it listens at and those that it is connected to,
// both as "address port", in the answer's order.
func (a *answer) expect(name string, listening, established []string) {
	a.t.Helper()
	if a.incomplete(name) {
		a.t.Errorf("%s is incomplete", name)
	}
	a.expectKnown(name, listening, established)
}

// expectPartial is expect for an incomplete container.
func (a *answer) expectPartial(name string, listening, established []string) {
	a.t.Helper()
	if !a.incomplete(name) {
		a.t.Errorf("%s is not said to be incomplete", name)
	}
	a.expectKnown(name, listening, established)
}

func (a *answer) expectKnown(name string, listening, established []string) {
	a.t.Helper()
	c, ok := a.containers["/"+name]
	if !ok {
		a.t.Errorf("%s is not listed in %s", name, a.body)
		return
	}
	if got, want := fmt.Sprint(c.Listening), fmt.Sprint(listening); got != want {
		a.t.Errorf("%s listens at %s, want %s", name, got, want)
	}
	if got, want := fmt.Sprint(c.Established), fmt.Sprint(established); got != want {
		a.t.Errorf("%s is connected to %s, want %s", name, got, want)
	}
}
