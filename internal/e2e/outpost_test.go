package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// outpost is a daemon or mapper on the machine.
type outpost struct {
	t       testing.TB
	url     string
	process *os.Process
	done    chan struct{}
	status  int    // valid after done
	log     string // path of the log file
}

// start starts a daemon with variables ("NAME=value") and waits until it serves.
func start(t testing.TB, variables ...string) *outpost {
	t.Helper()
	return startCommand(t, exec.Command(binary), variables...) //nolint:noctx // it is ended with SIGTERM
}

// startRelease is start with a release build.
func startRelease(t testing.TB, variables ...string) *outpost {
	t.Helper()
	return startCommand(t, exec.Command(releaseBinary(t)), variables...) //nolint:noctx // it is ended with SIGTERM
}

// startCommand is start with a command that executes the daemon. Its Stderr may be a file for the log.
func startCommand(t testing.TB, command *exec.Cmd, variables ...string) *outpost {
	t.Helper()
	environ := command.Env
	if environ == nil {
		environ = os.Environ()
	}
	// Without memory profiling, measuring a daemon hardly changes its memory.
	command.Env = append(append(environ, "OUTPOST_LISTEN=127.0.0.1:0", "GODEBUG=memprofilerate=0"), variables...)
	// A file has the complete log at any time; a pipe may still hold a part of it.
	log, given := command.Stderr.(*os.File)
	if !given {
		var err error
		if log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = log.Close() }() // the daemon has its own descriptor
		command.Stderr = log
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	o := &outpost{t: t, process: command.Process, done: make(chan struct{}), log: log.Name()}
	go func() {
		_ = command.Wait() // the status holds the error
		o.status = command.ProcessState.ExitCode()
		close(o.done)
	}()
	t.Cleanup(func() {
		if status := o.end(); status != 0 {
			t.Errorf("the daemon exited with status %d:\n%s", status, o.logged())
		}
	})
	for limit := time.Now().Add(20 * time.Second); o.url == ""; o.url = o.serving("Serving") {
		select {
		case <-o.done:
			t.Fatalf("the daemon exited with status %d:\n%s", o.status, o.logged())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("the daemon does not serve:\n%s", o.logged())
		}
	}
	return o
}

// serving returns the address in a log message such as "Serving", or "" if the message is not in the log.
func (o *outpost) serving(message string) (url string) {
	for line := range strings.Lines(o.logged()) {
		var entry struct{ Message, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Message == message {
			return "http://" + entry.Address
		}
		if _, console, ok := strings.Cut(line, " INF "+message+" address="); ok {
			return "http://" + strings.Fields(console)[0]
		}
	}
	return ""
}

// end ends the daemon with SIGTERM, and with SIGKILL after 30 s, and returns its exit status.
func (o *outpost) end() int {
	_ = o.process.Signal(syscall.SIGTERM) // it may have ended already
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
	if o.log == "" { // the log is in the container
		return ""
	}
	log, err := os.ReadFile(o.log)
	if err != nil {
		o.t.Fatal(err)
	}
	return string(log)
}

// connections is an entry of an answer of /connections.
type connections struct {
	Name        string     `json:"name"`
	Artefact    string     `json:"artefact"`
	Listening   []endpoint `json:"listening"`
	Established []endpoint `json:"established"`
}

type endpoint struct {
	Address  string          `json:"address"`
	Port     uint16          `json:"port"`
	Protocol socket.Protocol `json:"protocol"`
}

func (e endpoint) String() string {
	return fmt.Sprintf("%s %s", e.Address, socket.NewPort(e.Port, e.Protocol))
}

// answer is an HTTP answer. It has containers if it lists connections.
type answer struct {
	t          testing.TB
	status     int
	header     http.Header
	body       string
	containers map[string]connections
}

// get requests a path. An error ends the test.
func (o *outpost) get(path string) *answer {
	o.t.Helper()
	a, err := o.ask(path)
	if err != nil {
		o.t.Fatal(err)
	}
	return a
}

// ask requests a path, and decodes an answer of /connections strictly.
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

// decodeAnswer decodes an answer of /connections. It rejects unknown fields.
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
	return o.connectionsOf("tcp")
}

// connectionsOf returns the list for a protocol.
func (o *outpost) connectionsOf(protocol string) *answer {
	o.t.Helper()
	a := o.get("/connections?protocol=" + protocol)
	if a.status != http.StatusOK {
		o.t.Fatalf("%d %s", a.status, a.body)
	}
	return a
}

// incomplete reports whether the header Outpost-Incomplete names the container.
func (a *answer) incomplete(name string) bool {
	for n := range strings.SplitSeq(a.header.Get("Outpost-Incomplete"), ", ") {
		if n == "/"+name {
			return true
		}
	}
	return false
}

// expect expects a complete container with these endpoints, as "address port" in the order of the answer: where it listens and
// what it is connected to.
func (a *answer) expect(name string, listening, established []string) {
	a.t.Helper()
	if a.incomplete(name) {
		a.t.Errorf("%s is incomplete", name)
	}
	a.expectKnown(name, listening, established)
}

// expectPartial expects an incomplete container with these endpoints.
func (a *answer) expectPartial(name string, listening, established []string) {
	a.t.Helper()
	if !a.incomplete(name) {
		a.t.Errorf("%s is not marked as incomplete", name)
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
