package collect_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

func TestFaultOfOneContainerDoesNotAffectAnother(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	answers := func(x enginetest.Exec) func([]string) enginetest.Exec {
		return func([]string) enginetest.Exec { return x }
	}
	const runc = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"cat\": executable file not found in $PATH: unknown\r\n"
	const crun = "OCI runtime exec failed: exec failed: executable file `cat` not found in $PATH: No such file or directory: unknown\r\n"
	tests := []struct {
		name      string
		container enginetest.Container
		reason    string        // a part of the reason; empty if the reading is complete
		ports     []uint16      // that are known nevertheless
		execs     int           // in two successive collections
		timeout   time.Duration // 0: the default
	}{
		{
			name:      "error text of runc in the stdout frame, 126",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: runc, Code: 126})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name:      "error text of runc, 127",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: runc, Code: 127})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name: "a shell that finds no command",
			container: enginetest.Container{NetworkMode: "host", Exec: func(command []string) enginetest.Exec {
				if command[0] == "cat" {
					return enginetest.Exec{Stdout: header4 + listener(81, 1) + header6}
				}
				return enginetest.Exec{Stderr: "sh: exec: line 1: ls: not found\n", Code: 127}
			}},
			reason: "the image has no sh or no ls", ports: []uint16{81}, execs: 3,
		},
		{
			name: "start failed for another reason, 128",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: exec failed: unable to start container process: read init-p: connection reset by peer\r\n", Code: 128,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name: "start failed for a reason that may pass, 127",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: open /run/x: no such file or directory\r\n", Code: 127,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name:      "error text of crun",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: crun, Code: 127})},
			reason:    "the image has no cat", execs: 1,
		},
		{
			name: "pids limit reached",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: "OCI runtime exec failed: exec failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown\r\n", Code: 126,
			})},
			reason: "cat could not be started", execs: 1,
		},
		{
			name: "exec denied by a proxy",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				CreateStatus: http.StatusForbidden, Message: "<html><body><h1>403 Forbidden</h1></body></html>",
			})},
			reason: "exec not permitted", execs: 1,
		},
		{
			name:      "exec fails to start",
			container: enginetest.Container{Exec: answers(enginetest.Exec{StartStatus: http.StatusInternalServerError, Message: "boom"})},
			reason:    "exec failed", execs: 1,
		},
		{name: "exec hangs", container: enginetest.Container{Exec: answers(enginetest.Exec{Hangs: hang})}, reason: "exec: no answer in time", execs: 1},
		{name: "inspect hangs", container: enginetest.Container{InspectHangs: true}, reason: "inspect: no answer in time"},
		{name: "paused", container: enginetest.Container{State: "paused"}, reason: "paused"},
		{name: "restarting", container: enginetest.Container{State: "restarting"}, reason: "restarting"},
		{
			name: "invalid ports",
			container: enginetest.Container{Ports: map[string][]enginetest.Binding{
				"80/tcp": {{HostIP: "nowhere", HostPort: "80"}},
			}},
			reason: "parts of the engine's answer are invalid", execs: 2,
		},
		{
			name:      "garbage in place of frames",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Raw: []byte("\x01\x00\x00\x00\xff\xff\xff\xff")})},
			reason:    "exec failed", execs: 1,
		},
		{
			name:      "no table",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: "miaow\n"})},
			reason:    "cat returned an incomplete answer", execs: 2,
		},
		{
			name: "tcp6 missing",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1), Stderr: "cat: can't open '/proc/net/tcp6': No such file or directory\n", Code: 1,
			})},
			ports: []uint16{81}, execs: 2,
		},
		{
			name: "if_inet6 missing",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1) + header6, Stderr: "cat: can't open '/proc/net/if_inet6': No such file or directory\n", Code: 1,
			})},
			ports: []uint16{81}, execs: 2,
		},
		{
			name: "no IPv6, fib_trie forbidden",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1), Code: 1,
				Stderr: "cat: /proc/net/tcp6: No such file or directory\ncat: /proc/net/if_inet6: No such file or directory\ncat: /proc/net/fib_trie: Permission denied\n",
			})},
			ports: []uint16{81}, execs: 2,
		},
		{
			name: "tcp6 unreadable beside if_inet6",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1) + header6, Code: 1,
				Stderr: "cat: /proc/net/tcp6: Input/output error\ncat: /proc/net/if_inet6: No such file or directory\n",
			})},
			reason: "cat returned an incomplete answer", ports: []uint16{81}, execs: 2,
		},
		{
			name:      "cat killed half-way",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stdout: header4 + listener(81, 1), Code: 137})},
			reason:    "cat returned an incomplete answer", ports: []uint16{81}, execs: 2,
		},
		{
			name:      "a malformed row, and one cut short",
			container: enginetest.Container{Exec: prints(listener(81, 1), "nonsense\n", listener(82, 2)[:60])},
			reason:    "rows of the socket table cannot be decoded", ports: []uint16{81}, execs: 2,
		},
		{
			name: "more output than is decoded",
			container: enginetest.Container{Exec: answers(enginetest.Exec{
				Stdout: header4 + listener(81, 1) + strings.Repeat(strings.Repeat(" ", 1023)+"\n", 17<<10) + "   1: 0",
			})},
			reason: "cat printed more than 16 MiB", ports: []uint16{81}, execs: 2, timeout: 30 * time.Second,
		},
		{
			name:      "endless errors",
			container: enginetest.Container{Exec: answers(enginetest.Exec{Stderr: strings.Repeat("no\n", 28<<20)})},
			reason:    "cat printed more than 16 MiB", execs: 1, timeout: 30 * time.Second,
		},
		{
			name:      "image tag moved",
			container: enginetest.Container{ListedImage: "sha256:0123", Exec: prints(listener(81, 1))},
			ports:     []uint16{81}, execs: 2,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			faulty := test.container
			faulty.Name, faulty.Image = "faulty", "shop/web:1.2"
			healthy := &enginetest.Container{Name: "healthy", Image: "shop/db:7", Exec: prints(listener(80, 1))}
			fake := enginetest.New(t, &faulty, healthy)
			c := newCollectorWithTimeout(t, max(timeout, test.timeout))
			for range 2 {
				readings := collectByName(t, c)
				if r, ok := readings["/healthy"]; !ok || len(r.Problems) > 0 || !slices.Equal(ports(r), []uint16{80}) {
					t.Errorf("the other container: %+v", r)
				}
				r, ok := readings["/faulty"]
				if !ok {
					t.Fatal("the container is not listed")
				}
				if got := reasons(r); !strings.Contains(got, test.reason) || (got == "") != (test.reason == "") {
					t.Errorf("reason %q, want %q", got, test.reason)
				}
				if r.Container.Image != "shop/web:1.2" {
					t.Errorf("image %q", r.Container.Image)
				}
				if got := ports(r); !slices.Equal(got, test.ports) {
					t.Errorf("ports %v, want %v", got, test.ports)
				}
			}
			if got := fake.Calls()["exec create"]; got != 2+test.execs {
				t.Errorf("%d execs, want %d besides the two in the other container", got-2, test.execs)
			}
			if n := fake.UnstartedExecs(); n != 0 {
				t.Errorf("%d execs were created and never started", n)
			}
		})
	}
}

func TestContainerThatExitsDuringCollectionIsLeftOut(t *testing.T) {
	healthy := &enginetest.Container{Name: "healthy", Exec: prints(listener(80, 1))}
	for name, die := range map[string]func(*enginetest.Engine, *enginetest.Container){
		"removed": func(e *enginetest.Engine, _ *enginetest.Container) { e.SetContainers(healthy) },
		"stopped": func(e *enginetest.Engine, c *enginetest.Container) {
			e.SetContainers(healthy, &enginetest.Container{ID: c.ID, Name: c.Name, State: "exited"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var fake *enginetest.Engine
			mortal := &enginetest.Container{Name: "mortal"}
			mortal.Exec = func([]string) enginetest.Exec {
				return enginetest.Exec{
					BeforeCreate: func() { die(fake, mortal) },
					CreateStatus: http.StatusConflict, Message: "is not running",
				}
			}
			fake = enginetest.New(t, mortal, healthy)
			readings := collectByName(t, newCollector(t))
			if _, ok := readings["/mortal"]; ok || len(readings) != 1 {
				t.Errorf("readings %v, want /healthy only", readings)
			}
		})
	}
}

func TestNoCommandStartsBesideAHungOneUntilItEnds(t *testing.T) {
	hang := make(chan struct{})
	first := true
	fake := enginetest.New(t, &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec {
		x := enginetest.Exec{Stdout: header4 + listener(80, 1) + header6}
		if first {
			first, x.Hangs = false, hang
		}
		return x
	}})
	c := newCollector(t)
	for range 3 {
		if r := collectByName(t, c)["/it"]; reasons(r) != "exec: no answer in time" {
			t.Fatalf("reasons %q", reasons(r))
		}
	}
	if n := fake.Calls()["exec create"]; n != 1 {
		t.Fatalf("%d commands started while the first hangs", n)
	}
	close(hang)
	for deadline := time.Now().Add(10 * time.Second); ; {
		r := collectByName(t, c)["/it"]
		if len(r.Problems) == 0 && slices.Equal(ports(r), []uint16{80}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not read again: %v", r.Problems)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestPermanentFailureIsForgottenWhenTheContainerRestarts(t *testing.T) {
	it := &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec {
		return enginetest.Exec{Stdout: "not found", Code: 127}
	}}
	fake := enginetest.New(t, it)
	c := newCollector(t)
	if r := collectByName(t, c)["/it"]; reasons(r) != "the image has no cat" {
		t.Fatalf("reasons %q", reasons(r))
	}
	fake.SetContainers(&enginetest.Container{Name: "it", StartedAt: time.Now(), Exec: prints(listener(80, 1))})
	if r := collectByName(t, c)["/it"]; len(r.Problems) != 0 {
		t.Errorf("problems %v", r.Problems)
	}
}
