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
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/PabloL007/outpost/internal/lab"
)

// TestMain prepares these for all tests.
var (
	binary       string                          // path of the daemon; empty without an engine
	tools        string                          // image with busybox and peer
	bare         string                          // image with only /peer
	image        func() (name string, err error) // builds the image of Outpost once
	buildRelease func() (path string, err error) // builds the daemon with the flags of a release, once
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
		fmt.Fprintln(os.Stderr, "e2e: no Docker engine answers: all tests are skipped:", err)
		return m.Run() // each test skips itself
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
	if err := lab.Build(ctx, binary, "cmd/outpost", buildFlags...); err != nil {
		return err
	}
	buildRelease = sync.OnceValues(func() (string, error) {
		path := filepath.Join(directory, "released")
		return path, lab.Build(ctx, path, "cmd/outpost", releaseFlags...)
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

// releaseFlags are the build flags of a release.
var releaseFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

// releaseBinary returns the path of a release build. The race detector makes a daemon about ten times slower and larger, so that
// limits of time and memory would not apply.
func releaseBinary(t testing.TB) string {
	t.Helper()
	path, err := buildRelease()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// imageVersion is the version of the daemon in the image: that of `make image` if VERSION is set.
func imageVersion() string {
	if version := os.Getenv("VERSION"); version != "" {
		return version
	}
	return "v0.0.0-e2e"
}

// newLab returns a lab for one test, which empties it at its end. Without an engine the test is skipped.
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

// testLab is a lab that ends the test on errors.
type testLab struct {
	*lab.Lab
	t         testing.TB
	firstPort int
}

// portsPerTest is the number of host ports that are reserved for a test.
const portsPerTest = 10

// port returns the i-th host port of the test.
func (l *testLab) port(i int) string { return strconv.Itoa(l.firstPort + i) }

// freePorts returns the first of portsPerTest free ports. They are below the kernel's range of ephemeral ports.
func freePorts(t testing.TB) int {
	t.Helper()
	const minPort, maxPort = 20000, 30000
	for range 100 {
		first := minPort + rand.IntN((maxPort-minPort)/portsPerTest)*portsPerTest
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
	for port := first; port < first+portsPerTest; port++ {
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

// peer starts a container of the tools image that executes instructions of peer, and waits until it is ready.
func (l *testLab) peer(part string, options []string, instructions ...string) (id string) {
	l.t.Helper()
	id = l.run(part, append(append(options, tools, "peer"), instructions...)...)
	if err := l.Ready(l.t.Context(), part); err != nil {
		l.t.Fatal(err)
	}
	return id
}

// onCgroupV2 reports whether the engine uses cgroup v2.
func (l *testLab) onCgroupV2() bool {
	l.t.Helper()
	return l.docker("info", "-f", "{{.CgroupVersion}}") == "2"
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
