package sockdiag

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
	"github.com/PabloL007/outpost/internal/socket"
)

func TestDecodeNSID(t *testing.T) {
	attribute := func(kind uint16, data ...byte) []byte {
		encoded, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: kind, Data: data}})
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	seven := attribute(unix.NETNSA_NSID, 7, 0, 0, 0)
	for name, test := range map[string]struct {
		attributes []byte
		want       int32
		ok         bool
	}{
		"none":          {nil, 0, false},
		"right":         {seven, 7, true},
		"zero":          {attribute(unix.NETNSA_NSID, 0, 0, 0, 0), 0, true},
		"after another": {append(attribute(unix.NETNSA_PID, 1, 0, 0, 0), seven...), 7, true},
		"not assigned":  {attribute(unix.NETNSA_NSID, 255, 255, 255, 255), 0, false},
		"short":         {attribute(unix.NETNSA_NSID, 7, 0), 0, false},
		"cut":           {seven[:6], 0, false},
		"of another":    {attribute(unix.NETNSA_FD, 7, 0, 0, 0), 0, false},
	} {
		if got, err := decodeNSID(test.attributes); got != test.want || (err == nil) != test.ok {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func FuzzDecodeNSID(f *testing.F) {
	f.Add([]byte{8, 0, 1, 0, 7, 0, 0, 0})
	f.Fuzz(func(t *testing.T, attributes []byte) {
		if nsid, err := decodeNSID(attributes); err == nil && nsid < 0 {
			t.Errorf("%d", nsid)
		}
	})
}

// A network namespace has a number only once the kernel needs one, such as for a veth.
func TestNSIDOf(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root to make a network namespace")
	}
	netns := startInNetNS(t)
	if _, err := nsidOf(netns); !errors.Is(err, errNoNSID) {
		t.Errorf("%v without a number", err)
	}
	sockdiagtest.AssignNSID(t, netns)
	if nsid, err := nsidOf(netns); err != nil || nsid < 0 {
		t.Errorf("%d, %v", nsid, err)
	}
	if nsid, err := nsidOf(nil); err != nil || nsid != socket.OwnNamespace {
		t.Errorf("own: %d, %v", nsid, err)
	}
	if _, err := nsidOf(os.Stdin); err == nil {
		t.Error("no error for a file that is no namespace")
	}
}

func TestEndsInOneNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root to make a network namespace")
	}
	netns, other := newNetNS(t), newNetNS(t)
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	ends := func(of *os.File) uint64 {
		nsid, err := nsidOf(of)
		if err != nil {
			t.Fatal(err)
		}
		ends, ok := l.EndsIn(nsid)
		if !ok {
			t.Fatal("the namespace is not heard")
		}
		return ends
	}
	own, inside, outside := ends(nil), ends(netns), ends(other)
	// A listener is no connection, but a dump shows it.
	sockdiagtest.In(t, netns, func() { _ = server(t, "127.0.0.1:0").Close() })
	for deadline := time.Now().Add(time.Minute); ends(netns) == inside; {
		if time.Now().After(deadline) {
			t.Fatal("the end of a listener is not counted")
		}
		<-l.More()
	}
	if ends(other) != outside {
		t.Error("an end is counted in another namespace")
	}
	l.addOverrun()
	if _, ok := l.EndsIn(socket.OwnNamespace); ok {
		t.Error("a namespace is heard before the lost events are over")
	}
	l.setDeaf(false)
	if ends(other) == outside || ends(nil) == own {
		t.Error("a loss is not counted in all namespaces")
	}
}

func TestEndsOfUnheardNamespaces(t *testing.T) {
	l := listen(t)
	l.allNetNS = false
	if _, ok := l.EndsIn(1); ok {
		t.Error("another namespace is heard")
	}
	if _, ok := l.EndsIn(socket.OwnNamespace); !ok {
		t.Error("the own namespace is not heard")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.EndsIn(socket.OwnNamespace); ok {
		t.Error("a closed listener hears")
	}
}

// startInNetNS starts a process in a network namespace of its own.
func startInNetNS(t *testing.T) (netns *os.File) {
	t.Helper()
	child := exec.CommandContext(t.Context(), "cat")
	child.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = stdin.Close(), child.Wait() })
	return sockdiagtest.OpenNetNS(t, child.Process.Pid)
}

// newNetNS returns a network namespace with a number.
func newNetNS(t *testing.T) *os.File {
	t.Helper()
	netns := startInNetNS(t)
	sockdiagtest.AssignNSID(t, netns)
	return netns
}
