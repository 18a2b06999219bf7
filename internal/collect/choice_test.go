package collect

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

const tcpHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
	"  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func table(port int) string {
	return tcpHeader + fmt.Sprintf("   0: 00000000:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1 0 100 0 0 10 0\n", port)
}

// answers is an engine's command that prints a table with that port.
func answers(port int) func(context.Context, string, io.Writer) error {
	return func(_ context.Context, _ string, stdout io.Writer) error {
		_, err := stdout.Write([]byte(table(port)))
		return err
	}
}

// Each method that may be used alone reads what is in sight, and Auto takes the best.
func TestMethodsOfAProcess(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80 127.0.0.1:81"), "bridge")
	for _, method := range []Method{Sockdiag, Procfs} {
		w := &world{containers: []container.Container{web}}
		expectRead(t, w.read(t, w.collector(t, method)), map[string]string{"web": string(method) + " 80,81; "})
	}
	w := &world{containers: []container.Container{web}}
	expectRead(t, w.read(t, w.collector(t)), map[string]string{"web": "sockdiag 80,81; "})
}

// A process that is another's by its cgroup is not read, whatever the engine says. Where no process of the engine's was
// ever in sight, a command is run; else the process has ended.
func TestProcessOfAnother(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	liar := running("liar", os.Getpid(), "bridge")

	alone := &world{containers: []container.Container{liar}, exec: answers(90)}
	expectRead(t, alone.read(t, alone.collector(t)), map[string]string{"liar": "exec 90; "})

	beside := &world{containers: []container.Container{web, liar}}
	c := beside.collector(t)
	for range 2 {
		expectRead(t, beside.read(t, c), map[string]string{"web": "sockdiag 80; ", "liar": "none ; its process has ended"})
	}
	if len(beside.commands) != 0 || beside.refreshed != rounds {
		t.Errorf("%d commands; the engine was asked %d times, want %d in the first collection alone", len(beside.commands), beside.refreshed, rounds)
	}
}

// What became of a container whose process is gone is asked of the engine, and decides.
func TestProcessHasEnded(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	again := startProcess(t, "it", 0, "127.0.0.1:81")
	stale := running("it", 1<<22+1, "bridge")
	changed := func(change func(*container.Container)) func() (container.Container, error) {
		return func() (container.Container, error) {
			now := stale
			change(&now)
			return now, nil
		}
	}
	asked := 0
	for name, test := range map[string]struct {
		fresh func() (container.Container, error)
		want  string
	}{
		"removed":      {func() (container.Container, error) { return container.Container{}, container.ErrNotFound }, ""},
		"stopped":      {changed(func(c *container.Container) { c.State = container.Stopped }), ""},
		"restarting":   {changed(func(c *container.Container) { c.State, c.PID = container.Restarting, 0 }), "none ; the container is restarting"},
		"started anew": {changed(func(c *container.Container) { c.PID, c.StartedAt = again, time.Unix(2000, 0) }), "sockdiag 81; "},
		"noticed late": {changed(func(c *container.Container) {
			if asked++; asked > 1 {
				c.State = container.Stopped
			}
		}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{containers: []container.Container{web, stale}, fresh: map[string]func() (container.Container, error){stale.ID: test.fresh}}
			want := map[string]string{"web": "sockdiag 80; "}
			if test.want != "" {
				want["it"] = test.want
			}
			expectRead(t, w.read(t, w.collector(t)), want)
			if len(w.commands) != 0 {
				t.Errorf("%d commands", len(w.commands))
			}
		})
	}
}

// A namespace is read by the best method that works through any of its containers.
func TestBestMethodOfANamespace(t *testing.T) {
	owner := running("owner", 0, "bridge") // its process is out of sight
	sidecar := running("sidecar", startProcess(t, "sidecar", 0, "127.0.0.1:80"), container.NetworkMode("container:"+owner.ID))
	w := &world{containers: []container.Container{owner, sidecar}, exec: func(context.Context, string, io.Writer) error { return nil }}
	got := w.read(t, w.collector(t))
	if got["sidecar"] != "sockdiag 80; " || !strings.HasPrefix(got["owner"], "sockdiag 80; ") {
		t.Errorf("%v", got)
	}
	if slices.Contains(w.commands, sidecar.ID) { // in the owner one is run for its descriptors
		t.Errorf("commands in %v", w.commands)
	}
}

// The kernel tells which containers share a namespace, whatever the engine's times say.
func TestNamespacesByKernel(t *testing.T) {
	first := startProcess(t, "first", 0, "127.0.0.1:80")
	owner := running("owner", startProcess(t, "owner", 0, "127.0.0.1:90"), "bridge")
	owner.Published = []container.Binding{{Port: 80}}
	joined := container.NetworkMode("container:" + owner.ID)
	left, leftToo := running("first", first, joined), running("second", startProcess(t, "second", first, "127.0.0.1:81"), joined)
	sidecar := running("sidecar", startProcess(t, "sidecar", owner.PID, "127.0.0.1:91"), joined)
	sidecar.StartedAt = time.Unix(1, 0) // before its owner
	w := &world{containers: []container.Container{left, leftToo, owner, sidecar}}
	result, err := w.collector(t).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	r := result.Readings
	if r[0].NetNS != r[1].NetNS || r[2].NetNS != r[3].NetNS || r[0].NetNS == r[2].NetNS || r[0].NetNS.ID == r[2].NetNS.ID {
		t.Fatalf("%v %v %v %v", r[0].NetNS, r[1].NetNS, r[2].NetNS, r[3].NetNS)
	}
	for i, want := range []string{"sockdiag 80,81; ", "sockdiag 80,81; ", "sockdiag 90,91; ", "sockdiag 90,91; "} {
		if got := tell(r[i]); got != want {
			t.Errorf("%s: %s, want %s", r[i].Container.Name, got, want)
		}
		if len(r[i].Owners.Inodes) != 1 || !r[i].NetNS.Shared {
			t.Errorf("%s: %+v, %+v", r[i].Container.Name, r[i].Owners, r[i].NetNS)
		}
	}
	if len(r[0].NetNS.Published) != 0 || len(r[2].NetNS.Published) != 1 {
		t.Errorf("published %v, %v", r[0].NetNS.Published, r[2].NetNS.Published)
	}
}

// What joined a container on the host's network is there too, also when that one was started anew since: the host's
// namespace is never made anew.
func TestJoinedOnTheHost(t *testing.T) {
	owner := running("owner", 0, "host")
	owner.StartedAt = time.Unix(2000, 0)
	w := &world{containers: []container.Container{owner, running("sidecar", 0, container.NetworkMode("container:"+owner.ID))}, exec: answers(80)}
	result, err := w.collector(t, Exec).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if r := result.Readings; r[0].NetNS != r[1].NetNS || !r[0].NetNS.Host {
		t.Errorf("%+v, %+v", r[0].NetNS, r[1].NetNS)
	}
}

// Commands that hang in containers of one network namespace take no longer together than one may, and another of its
// containers is asked meanwhile.
func TestHungCommandsOfANamespace(t *testing.T) {
	for _, hung := range []int{1, 3, 4} {
		synctest.Test(t, func(t *testing.T) {
			const members = 4
			owner := running("0", 0, "bridge")
			w := &world{containers: []container.Container{owner}}
			for i := 1; i < members; i++ {
				w.containers = append(w.containers, running(fmt.Sprint(i), 0, container.NetworkMode("container:"+owner.ID)))
			}
			w.exec = func(ctx context.Context, container string, stdout io.Writer) error {
				for i := range hung {
					if container == id(fmt.Sprint(i)) {
						<-ctx.Done()
						return ctx.Err()
					}
				}
				return answers(80)(ctx, container, stdout)
			}
			c := w.collector(t, Exec)
			began := time.Now()
			result, err := c.Collect(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			// Those that hang are waited for once more, a little less long: they may only have been slow, and are asked for
			// owners next.
			spent := map[int]time.Duration{1: c.Timeout / 2, 3: c.Timeout * 7 / 8, 4: c.Timeout}[hung]
			want := spent + c.Timeout - spent/time.Duration(patienceCalls*c.Workers)
			if hung == members { // and there are no sockets to ask for
				want = spent
			}
			if took != want {
				t.Errorf("%d hang: %v, want %v", hung, took, want)
			}
			read := len(result.Readings[0].NetNS.Sockets) == 1
			if read != (hung < members) {
				t.Errorf("%d hang: %+v", hung, result.Readings[0])
			}
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A member whose command is slow loses the race for the tables, and nothing else.
func TestSlowCommandOfANamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := running("slow", 0, "host"), running("quick", 0, "host")
		w := &world{containers: []container.Container{slow, quick}}
		w.exec = func(_ context.Context, container string, stdout io.Writer) error {
			if w.ran(container) == 2 {
				_, err := fmt.Fprintf(stdout, "self 9\n/proc/1 0::/docker/%[1]s\n/proc/9 0::/docker/%[1]s\n/proc/1/fd:\ntotal 0\n", container)
				return err
			}
			if container == slow.ID {
				time.Sleep(2600 * time.Millisecond)
			}
			return answers(80)(t.Context(), container, stdout)
		}
		c := w.collector(t, Exec)
		expectRead(t, w.read(t, c), map[string]string{"slow": "exec 80; ", "quick": "exec 80; "})
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// However many members a namespace has, few commands hang in it.
func TestFewCommandsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{exec: func(ctx context.Context, _ string, _ io.Writer) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		for i := range 60 {
			w.containers = append(w.containers, running(fmt.Sprint(i), 0, "none"))
			w.containers[i].Network = container.NetworkMode("container:" + id("0"))
		}
		w.containers[0].Network = "bridge"
		c := w.collector(t, Exec)
		r := newRound(c, nil, false)
		listed, err := w.Containers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := r.byCommand(t.Context(), r.meet(t.Context(), listed)); !unanswered(err) || time.Since(began) != c.Timeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := c.Close(t.Context()); err != nil { // and with it the last of them
			t.Error(err)
		}
		if n := len(w.commands); n != 4 {
			t.Errorf("%d commands", n)
		}
	})
}

// Descriptors that cannot be looked at in time are, like a command that fails, not looked at again at once.
func TestTooManyDescriptors(t *testing.T) {
	shared := container.NetworkMode("container:" + id("gone"))
	it := running("it", startProcess(t, "it", 0, "127.0.0.1:80"), shared)
	sidecar := running("sidecar", startProcess(t, "sidecar", it.PID, "127.0.0.1:81"), shared)
	w := &world{containers: []container.Container{it, sidecar}}
	c := w.collector(t, Procfs)
	c.Timeout = time.Nanosecond
	const reason = "its sockets cannot be told from those of others in the same network namespace: its processes hold too many descriptors to be looked at"
	r := newRound(c, nil, false)
	m := &member{Reading: Reading{Container: it}, process: r.look(t.Context(), it), namespace: &namespace{}}
	for i := range 2 {
		_, err := r.ownersByDescriptors(t.Context(), m)
		if err == nil || !strings.HasSuffix(reason, problemOf(err).Reason) || recalled(err) != (i == 1) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// What a probe says of each method: with and without containers in sight, and without any.
func TestProbe(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	unseen := running("unseen", 0, "bridge")
	forbidden := func(context.Context, string, io.Writer) error { return container.ErrForbidden }
	for name, test := range map[string]struct {
		world   *world
		methods []Method
		want    string
	}{
		"all in sight":   {&world{containers: []container.Container{web}}, nil, "sockdiag works, procfs works, exec not needed"},
		"none runs":      {&world{}, nil, "sockdiag seems to work; no container runs to try it on, procfs seems to work; no container runs to try it on, exec seems to work; no container runs to try it on"},
		"exec alone":     {&world{containers: []container.Container{web, web, web, web}, exec: answers(80)}, []Method{Exec}, "exec works"},
		"exec forbidden": {&world{containers: []container.Container{web}, exec: forbidden}, []Method{Exec}, "exec does not work: exec not permitted"},
		"out of sight":   {&world{containers: []container.Container{unseen}, exec: answers(80)}, nil, "sockdiag seems to work; no container runs to try it on, procfs seems to work; no container runs to try it on, exec seems to work; no container runs to try it on"},
	} {
		t.Run(name, func(t *testing.T) {
			findings, err := test.world.collector(t, test.methods...).Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, report := range findings.Methods {
				got = append(got, string(report.Method)+" "+report.String())
				if report.HostWide != strings.Contains(report.String(), "not permitted") {
					t.Errorf("%+v", report)
				}
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
			if n := len(test.world.commands); n > 1 {
				t.Errorf("%d commands", n)
			}
		})
	}
}
