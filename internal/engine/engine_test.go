package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
	"github.com/PabloL007/outpost/internal/socket"
)

func newEngine(t *testing.T) *engine.Engine {
	t.Helper()
	e, err := engine.New(engine.Options{MaxCalls: 4, Observe: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// The answers of API 1.41 come from Docker Engine 20.10.24. Those of 1.44 and 1.51 describe the same container in the
// format of these versions.
func TestInspectOfAPIVersions(t *testing.T) {
	const id = "ffdcdd1a911cebda36e24cfef307f623711e2320cbcf5a14561a2cbc8eba1be4"
	for version, expect := range map[string]struct{ image, network string }{
		"1.41": {"labbox:1", "default"},
		"1.44": {"labbox:1", "default"},
		"1.51": {"sha256:7dadf720318a4c2ee0fa93a342bb6fcc504fd8ca1d3e128d9ec165a04fc47022", "bridge"},
	} {
		t.Run(version, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", version) })
			for path, file := range map[string]string{"/containers/json": "list", "/containers/" + id + "/json": "inspect"} {
				mux.HandleFunc("GET /v"+version+path, func(w http.ResponseWriter, r *http.Request) {
					http.ServeFile(w, r, filepath.Join("testdata", file+"-"+version+".json"))
				})
			}
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
			e := newEngine(t)

			summaries, err := e.Containers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := []container.Summary{{ID: id, Name: "/multi", Image: expect.image, NetworkMode: container.NetworkMode(expect.network)}}
			if diff := cmp.Diff(want, summaries, cmpopts.IgnoreFields(container.Summary{}, "Fingerprint")); diff != "" || summaries[0].Fingerprint == "" {
				t.Errorf("Containers (-want +got):\n%s", diff)
			}
			got, err := e.Inspect(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			binding := func(port socket.Port, host string) container.Binding {
				return container.Binding{ContainerPort: port, Host: netip.MustParseAddrPort(host)}
			}
			dns := socket.NewPort(53, socket.UDP)
			wantContainer := container.Container{
				ID: id, Name: "/multi", Image: "labbox:1", NetworkMode: container.NetworkMode(expect.network), State: container.Running,
				StartedAt: time.Date(2026, 11, 23, 6, 18, 49, 857720125, time.UTC), PID: 16017,
				Networks: []container.Network{{
					ID: "0469163a4720d511b12d22c2538be545f8b5720051a41d315ba8fa7de3c3adc8", Name: "bridge",
					Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2")}, Gateways: []netip.Addr{netip.MustParseAddr("172.17.0.1")},
				}},
				Published: []container.Binding{
					binding(80, "0.0.0.0:18081"), binding(80, "127.0.0.1:18082"), binding(80, "[::]:18081"),
					binding(8100, "0.0.0.0:18100"), binding(8100, "[::]:18100"),
					binding(8101, "0.0.0.0:18101"), binding(8101, "[::]:18101"), binding(dns, "0.0.0.0:18053"), binding(dns, "[::]:18053"),
				},
				ExposedPorts: []socket.Port{80, 8100, 8101, 9999, dns}, ConfiguredPorts: []socket.Port{80, 8100, 8101, 9999, dns},
			}
			if diff := cmp.Diff(wantContainer, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
				t.Errorf("Inspect (-want +got):\n%s", diff)
			}
		})
	}
}

// The answers come from Podman 4.3.1: of a container with a published port, and of one in a pod that publishes a port.
func TestInspectOfPodman(t *testing.T) {
	inspect := func(file string) container.Container {
		t.Helper()
		mux := http.NewServeMux()
		mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
		mux.HandleFunc("GET /v1.41/containers/it/json", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join("testdata", file)) })
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
		got, err := newEngine(t).Inspect(t.Context(), "it")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := container.Container{
		ID: "860f28f953e79ed68c54c3e928f02dc4d6f3900cb28ac70508479d5bd1faefb8", Name: "/web", Image: "localhost/tools:1", NetworkMode: "bridge",
		State: container.Running, StartedAt: time.Date(2026, 11, 27, 22, 36, 23, 987266264, time.UTC), PID: 16796,
		Networks: []container.Network{{ // the same name on each host, so it is no ID
			Name: "podman", Addresses: []netip.Addr{netip.MustParseAddr("10.88.0.2")}, Gateways: []netip.Addr{netip.MustParseAddr("10.88.0.1")},
		}},
		Published:    []container.Binding{{ContainerPort: 80, Host: netip.MustParseAddrPort("0.0.0.0:8080")}},
		ExposedPorts: []socket.Port{80}, ConfiguredPorts: []socket.Port{80},
	}
	if diff := cmp.Diff(want, inspect("inspect-podman.json"), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want = container.Container{ // the network and the port are those of the pod's infra container
		ID: "aa2e610a9a68325e2af057270461daebec33cd4e00d15f81052ff39cf9ad99d1", Name: "/podweb", Image: "localhost/tools:1",
		NetworkMode: "container:6265c3e872d4166ab693b46aaa866170e3cf4536622ecd1ddfd61eb018e42a02",
		State:       container.Running, StartedAt: time.Date(2026, 11, 27, 22, 38, 16, 464573273, time.UTC), PID: 25478,
	}
	if diff := cmp.Diff(want, inspect("inspect-podman-pod.json"), cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSandboxed(t *testing.T) {
	for runtime, want := range map[string]bool{"runc": false, "crun": false, "io.containerd.runc.v2": false, "runsc": true, "kata-runtime": true} {
		enginetest.New(t, &enginetest.Container{Name: "it", Runtime: runtime})
		if c, err := newEngine(t).Inspect(t.Context(), enginetest.ID("it")); err != nil || c.Sandboxed != want {
			t.Errorf("%s: %v, %v", runtime, c.Sandboxed, err)
		}
	}
}

func TestChangingIDIsNone(t *testing.T) {
	fake := enginetest.New(t)
	fake.SetHost("it")
	e := newEngine(t)
	expect := func(want string, calls int) {
		t.Helper()
		before := fake.Calls()["info"]
		host, err := e.Host(t.Context())
		if err != nil || host.ID != want || host.Name != "it" {
			t.Errorf("%+v, %v; want the ID %q", host, err, want)
		}
		if made := fake.Calls()["info"] - before; made != calls {
			t.Errorf("%d calls, want %d", made, calls)
		}
	}
	expect("engine-of-it", 2)
	expect("engine-of-it", 1)
	fake.ActAsPodman() // as if it took Docker's place
	expect("", 2)
	expect("", 1)
	expect("", 1)
}

// Docker and Podman list the same containers: those that have processes, or will have them again.
func TestContainersInAllLiveStates(t *testing.T) {
	containers := []*enginetest.Container{{Name: "running"}, {Name: "paused", State: "paused"}, {Name: "exited", State: "exited"}}
	for name, test := range map[string]struct {
		podman bool
		want   []string
		calls  int // of three lists
	}{
		"Docker": {false, []string{"/running", "/paused", "/restarting"}, 3},
		"Podman": {true, []string{"/running", "/paused"}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			fake := enginetest.New(t, append(containers, &enginetest.Container{Name: "restarting", State: "restarting"})...)
			if test.podman {
				fake.ActAsPodman()
			}
			e := newEngine(t)
			for range 3 {
				listed, err := e.Containers(t.Context())
				var got []string
				for _, c := range listed {
					got = append(got, c.Name)
				}
				if err != nil || !slices.Equal(got, test.want) {
					t.Errorf("%q, %v; want %q", got, err, test.want)
				}
			}
			if calls := fake.Calls()["list"]; calls != test.calls {
				t.Errorf("%d calls, want %d", calls, test.calls)
			}
		})
	}
}

func TestStates(t *testing.T) {
	for state, want := range map[string]container.State{
		"running": container.Running, "paused": container.Paused, "restarting": container.Restarting, "exited": container.Stopped,
	} {
		enginetest.New(t, &enginetest.Container{Name: "it", State: state})
		got, err := newEngine(t).Inspect(t.Context(), enginetest.ID("it"))
		if err != nil || got.State != want {
			t.Errorf("%s: State = %q, %v; want %q", state, got.State, err, want)
		}
	}
}

func TestHealthAndRestarts(t *testing.T) {
	for reported, want := range map[string]container.Health{
		"": "", "none": "", "planet": "", "healthy": container.Healthy, "unhealthy": container.Unhealthy, "starting": container.HealthStarting,
	} {
		enginetest.New(t, &enginetest.Container{Name: "it", Health: reported, Restarts: 3})
		got, err := newEngine(t).Inspect(t.Context(), enginetest.ID("it"))
		if err != nil || got.Health != want || got.Restarts != 3 {
			t.Errorf("%q: health %q, %d restarts, %v; want %q and 3", reported, got.Health, got.Restarts, err, want)
		}
	}
}

func TestPublishedPorts(t *testing.T) {
	binding := func(ip, port string) []enginetest.Binding { return []enginetest.Binding{{HostIP: ip, HostPort: port}} }
	tests := []struct {
		name  string
		ports map[string][]enginetest.Binding
		want  []string
		fails bool // the binding is skipped and listed in Invalid
	}{
		{name: "none"},
		{name: "exposed alone", ports: map[string][]enginetest.Binding{"80/tcp": nil}},
		{name: "udp and sctp", ports: map[string][]enginetest.Binding{"53/udp": binding("0.0.0.0", "53"), "9/sctp": binding("", "9")}, want: []string{"0.0.0.0:53/udp"}},
		{name: "no address", ports: map[string][]enginetest.Binding{"80/tcp": binding("", "8080")}, want: []string{"0.0.0.0:8080"}},
		{name: "loopback alone", ports: map[string][]enginetest.Binding{"80/tcp": binding("127.0.0.1", "8080")}, want: []string{"127.0.0.1:8080"}},
		{name: "IPv6 loopback", ports: map[string][]enginetest.Binding{"80/tcp": binding("::1", "8080")}, want: []string{"[::1]:8080"}},
		{name: "v4-mapped", ports: map[string][]enginetest.Binding{"80/tcp": binding("::ffff:10.0.0.1", "8080")}, want: []string{"10.0.0.1:8080"}},
		{name: "routed", ports: map[string][]enginetest.Binding{"80/tcp": binding("0.0.0.0", "")}, want: []string{"10.71.1.2:80 direct"}},
		{name: "routed for IPv6", ports: map[string][]enginetest.Binding{"80/tcp": binding("::", "")}, want: []string{"[fd71::2]:80 direct"}},
		{name: "routed for one family", ports: map[string][]enginetest.Binding{"80/tcp": append(binding("0.0.0.0", "8080"), binding("::", "")...)}, want: []string{"0.0.0.0:8080", "[fd71::2]:80 direct"}},
		{name: "routed at no address", ports: map[string][]enginetest.Binding{"80/tcp": binding("<b>", "")}, fails: true},
		{name: "port 0", ports: map[string][]enginetest.Binding{"80/tcp": binding("", "0")}, fails: true},
		{name: "port too large", ports: map[string][]enginetest.Binding{"80/tcp": binding("", "65536")}, fails: true},
		{name: "no address at all", ports: map[string][]enginetest.Binding{"80/tcp": binding("<b>", "80")}, fails: true},
		{name: "inner port no number", ports: map[string][]enginetest.Binding{"http/tcp": binding("", "80")}, fails: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			enginetest.New(t, &enginetest.Container{
				Name: "it", Ports: test.ports, Networks: map[string]enginetest.Network{"it": {IPAddress: "10.71.1.2", GlobalIPv6Address: "fd71::2"}},
			})
			c, err := newEngine(t).Inspect(t.Context(), enginetest.ID("it"))
			if err != nil || (len(c.Invalid) > 0) != test.fails {
				t.Fatalf("error %v, invalid %v", err, c.Invalid)
			}
			var got []string
			for _, b := range c.Published {
				text := b.Host.String() + b.ContainerPort.Protocol().Suffix()
				if b.Direct {
					text += " direct"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Run("unreachable", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "unix:///nonexistent.sock")
		e := newEngine(t)
		_, err := e.Containers(t.Context())
		if !errors.Is(err, container.ErrUnreachable) {
			t.Errorf("Containers: %v, want ErrUnreachable", err)
		}
		if err := e.Ready(t.Context()); !errors.Is(err, container.ErrUnreachable) {
			t.Errorf("Ready: %v, want ErrUnreachable", err)
		}
	})
	t.Run("status", func(t *testing.T) {
		fake := enginetest.New(t)
		e := newEngine(t)
		if err := e.Ready(t.Context()); err != nil {
			t.Fatalf("Ready: %v", err)
		}
		if _, err := e.Inspect(t.Context(), "nobody"); !errors.Is(err, container.ErrNotFound) {
			t.Errorf("Inspect: %v, want ErrNotFound", err)
		}
		fake.FailWith(http.StatusInternalServerError)
		if err := e.Ready(t.Context()); err == nil {
			t.Error("Ready succeeded although the engine answers 500")
		}
		fake.FailWith(http.StatusForbidden)
		if err := e.Ready(t.Context()); !errors.Is(err, container.ErrForbidden) {
			t.Errorf("Ready: %v, want ErrForbidden", err)
		}
	})
	t.Run("environment", func(t *testing.T) {
		t.Setenv("DOCKER_HOST", "nonsense")
		if _, err := engine.New(engine.Options{MaxCalls: 1, Observe: func(string) {}}); err == nil {
			t.Error("no error for an invalid DOCKER_HOST")
		}
	})
}

func TestExec(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 10_000) // several frames
	var result enginetest.Exec
	fake := enginetest.New(t, &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec { return result }})
	e := newEngine(t)
	run := func(stdout io.Writer) (int, string, error) {
		var stderr bytes.Buffer
		code, err := e.Exec(t.Context(), enginetest.ID("it"), []string{"cat"}, stdout, &stderr)
		return code, stderr.String(), err
	}

	result = enginetest.Exec{Stdout: large, Stderr: "complaint", Code: 3}
	var stdout bytes.Buffer
	code, stderr, err := run(&stdout)
	if code != 3 || stderr != "complaint" || stdout.String() != large || err != nil {
		t.Errorf("code %d, %d bytes, stderr %q, error %v", code, stdout.Len(), stderr, err)
	}
	for name, raw := range map[string]string{
		"cut header":     "\x01\x00\x00",
		"cut frame":      "\x01\x00\x00\x00\x00\x00\x00\x08four",
		"4 GiB claimed":  "\x01\x00\x00\x00\xff\xff\xff\xfffour",
		"unknown stream": "GET / HTTP/1.1\r\n",
		"engine's error": "\x03\x00\x00\x00\x00\x00\x00\x04oops",
	} {
		result = enginetest.Exec{Raw: []byte(raw)}
		if _, _, err := run(io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	result = enginetest.Exec{Stdout: large}
	if _, _, err := run(failingWriter{}); !errors.Is(err, errWriter) {
		t.Errorf("error %v, want the writer's", err)
	}
	result = enginetest.Exec{CreateStatus: http.StatusForbidden, Message: "denied"}
	if _, _, err := run(io.Discard); !errors.Is(err, container.ErrForbidden) {
		t.Errorf("error %v, want ErrForbidden", err)
	}
	result = enginetest.Exec{StartStatus: http.StatusInternalServerError, Message: "no"}
	if _, _, err := run(io.Discard); err == nil {
		t.Error("no error after a failed start")
	}
	if n := fake.UnstartedExecs(); n != 0 {
		t.Errorf("%d execs were created and never started", n)
	}
}

// A context that ends between creation and start must not leave an exec that never starts.
func TestCancelledExecIsStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	fake := enginetest.New(t, &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec {
		return enginetest.Exec{BeforeCreate: cancel}
	}})
	_, _ = newEngine(t).Exec(ctx, enginetest.ID("it"), []string{"cat"}, io.Discard, io.Discard)
	if calls := fake.Calls(); calls["exec create"] != 1 || fake.UnstartedExecs() != 0 {
		t.Errorf("calls %v, never started %d", calls, fake.UnstartedExecs())
	}
}

var errWriter = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errWriter }

// While the engine does not answer the first ping, other callers still meet their own deadlines.
func TestHungNegotiationDoesNotBlockOthers(t *testing.T) {
	var well atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Api-Version", "1.41")
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	e := newEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- e.Follow(ctx, time.Now(), func() {}, func(container.Event) {}) }()
	time.Sleep(50 * time.Millisecond)
	for range 3 {
		brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := e.Containers(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		cancel()
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	well.Store(true)
	if _, err := e.Containers(t.Context()); err != nil {
		t.Error(err)
	}
}

// The answer to the ping determines the API version of the list, or fails it.
func TestPingDeterminesAPIVersion(t *testing.T) {
	for name, test := range map[string]struct {
		set    string // DOCKER_API_VERSION
		status int    // of the ping
		want   string // version
	}{
		"answered":        {"", http.StatusOK, "1.41"},
		"forbidden":       {"", http.StatusForbidden, api.DefaultVersion},
		"unauthorized":    {"", http.StatusUnauthorized, api.DefaultVersion},
		"server error":    {"", http.StatusInternalServerError, ""},
		"version set":     {"1.30", http.StatusOK, "1.30"},
		"set, ping fails": {"1.30", http.StatusInternalServerError, "1.30"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/_ping" {
					w.Header().Set("Api-Version", "1.41")
					w.WriteHeader(test.status)
					return
				}
				got, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/v"), "/")
				_, _ = io.WriteString(w, "[]")
			}))
			t.Cleanup(server.Close)
			t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
			if test.set != "" {
				t.Setenv("DOCKER_API_VERSION", test.set)
			}
			if _, err := newEngine(t).Containers(t.Context()); (err == nil) != (test.want != "") || got != test.want {
				t.Errorf("requested with version %q, %v", got, err)
			}
		})
	}
}

func TestMain(m *testing.M) {
	_ = os.Unsetenv("DOCKER_API_VERSION")
	os.Exit(m.Run())
}

// A fingerprint does not depend on the order of ports, and changes when the container is started again.
func TestFingerprint(t *testing.T) {
	body := `[{"Id":"aa","Names":["/web"],"State":"running","Ports":[{"PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":81,"Type":"tcp"}],
		"NetworkSettings":{"Networks":{"bridge":{"EndpointID":"e1","IPAddress":"172.17.0.2"},"broken":null}}}]`
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/containers/json", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	e := newEngine(t)
	fingerprint := func() string {
		t.Helper()
		list, err := e.Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Fingerprint
	}
	first := fingerprint()
	body = strings.Replace(body, `{"PrivatePort":80,"PublicPort":8080,"Type":"tcp"},{"PrivatePort":81,"Type":"tcp"}`, `{"PrivatePort":81,"Type":"tcp"},{"PrivatePort":80,"PublicPort":8080,"Type":"tcp"}`, 1)
	if fingerprint() != first {
		t.Error("the fingerprint depends on the order of ports")
	}
	for _, change := range [][2]string{{`"e1"`, `"e2"`}, {`8080`, `8081`}, {`/web`, `/new`}, {`running`, `paused`}, {`172.17.0.2`, `172.17.0.3`}} {
		before, original := fingerprint(), body
		if body = strings.Replace(body, change[0], change[1], 1); fingerprint() == before {
			t.Errorf("%v does not change the fingerprint", change)
		}
		body = original
	}
}

// After the engine is replaced by another version, Follow negotiates the API version again.
func TestReplacedEngineIsNegotiatedAgain(t *testing.T) {
	version := "1.41"
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", version) })
	mux.HandleFunc("GET /{version}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("version") != "v"+version {
			http.Error(w, `{"message":"client version is too old"}`, http.StatusBadRequest)
			return
		}
		switch {
		case r.PathValue("rest") == "containers/json":
			_, _ = io.WriteString(w, "[]")
		case !r.URL.Query().Has("until"): // the stream stays open until the test has seen it begin
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	e := newEngine(t)
	for _, version = range []string{"1.41", "1.44", "1.42"} {
		ctx, cancel := context.WithCancel(t.Context())
		started := false
		_ = e.Follow(ctx, time.Now(), func() { started = true; cancel() }, func(container.Event) {})
		if _, err := e.Containers(t.Context()); err != nil || !started {
			t.Errorf("%s: started %v, %v", version, started, err)
		}
	}
}
