// Package e2e runs the real binary and the real image against a real engine.
package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// What TestMain makes for all tests.
var (
	binary       string                          // path of the daemon; empty where there is no engine
	tools        string                          // name of an image with busybox and peer
	bare         string                          // name of an image with peer alone, as /peer
	image        func() (name string, err error) // builds the daemon's image, once
	buildRelease func() (path string, err error) // builds the daemon as it is released, once
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
	buildRelease = sync.OnceValues(func() (string, error) {
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
var releaseFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

func build(ctx context.Context, path string, flags []string) error {
	command := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", path}, flags...), "github.com/PabloL007/outpost/cmd/outpost")...)
	if !slices.Contains(flags, "-race") { // which needs it
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, output)
	}
	return nil
}

// released is the path of the daemon as it is released: the race detector makes it some ten times as slow and as large, so
// that its limits of time and memory are others.
func releaseBinary(t testing.TB) string {
	t.Helper()
	path, err := buildRelease()
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
