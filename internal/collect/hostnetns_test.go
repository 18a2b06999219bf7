package collect

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// hasListener reports whether the host's sockets have the listener.
func (h *HostNetNS) hasListener(listener net.Listener) bool {
	return slices.ContainsFunc(h.Sockets, func(s socket.Socket) bool {
		return s.State == socket.Listen && s.Local == netip.MustParseAddrPort(listener.Addr().String())
	})
}

// The sockets of the host are read if the host's /proc is known to be that, with or without a container on its network.
func TestHostNetNS(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pid := startProcess(t, "web", 0, "127.0.0.1:80")
	web, invisible := running("web", pid, "bridge"), running("host", 0, "host")
	sandbox := running("sandbox", 0, "host")
	sandbox.Sandboxed = true
	for name, test := range map[string]struct {
		methods    []Method
		containers []container.Container
		method     Method // None: the host is not read
		apart      bool
	}{
		"sockdiag":                             {[]Method{Sockdiag, Procfs}, []container.Container{web}, Sockdiag, false},
		"procfs":                               {[]Method{Procfs, Exec}, []container.Container{web}, Procfs, false},
		"commands alone":                       {[]Method{Exec}, []container.Container{web, invisible}, None, false},
		"no visible process":                   {[]Method{Procfs, Exec}, []container.Container{invisible}, None, false},
		"a container there, read by a command": {[]Method{Procfs, Exec}, []container.Container{web, invisible}, Procfs, true},
		"a sandbox in host mode":               {[]Method{Procfs, Exec}, []container.Container{web, sandbox}, Procfs, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{containers: test.containers, exec: printTable(80)}
			result, err := w.collector(t, test.methods...).Collect(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			switch host := result.Host; {
			case test.method == None:
				if host != nil {
					t.Errorf("read by %s", host.Method)
				}
			case host == nil:
				t.Error("not read")
			case host.Method != test.method || host.Apart != test.apart || host.Incomplete || !host.hasListener(listener) || host.ReadAt.IsZero():
				t.Errorf("method %s, apart %v, incomplete %v, %d sockets", host.Method, host.Apart, host.Incomplete, len(host.Sockets))
			}
		})
	}
}

// The host's sockets are those of a container on its network. Descriptors determine its owners, so that none closed meanwhile.
func TestHostNetNSOfAContainer(t *testing.T) {
	onHost := running("host", startProcess(t, "host", 0, "127.0.0.1:80"), "host") // its namespace stands for the host's
	w := &world{containers: []container.Container{onHost}}
	result, err := w.collector(t, Procfs).Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if host := result.Host; host == nil || host.NetNS != result.Readings[0].NetNS || host.Method != Procfs || host.Apart || host.Closed == nil || len(host.Closed) > 0 || len(host.Sockets) != 1 {
		t.Errorf("%+v, container %+v", host, result.Readings[0].NetNS)
	}
}

// In a container, PID 1 of the host's /proc shows the host's sockets.
func TestHostNetNSThroughPID1(t *testing.T) {
	w := &world{containers: []container.Container{running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")}}
	c := w.collector(t, Procfs)
	c.SelfContainer = id("outpost")
	init, err := c.Proc.Init()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = init.Close() })
	result, err := c.Collect(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	p := newPass(c, nil, false)
	want, err := p.readThrough(t.Context(), procfsSource{}, init)
	if err != nil {
		t.Fatal(err)
	}
	if result.Host == nil || result.Host.Method != Procfs || len(result.Host.Sockets) == 0 != (len(want.sockets) == 0) {
		t.Errorf("%+v", result.Host)
	}
}

func TestClosedInodes(t *testing.T) {
	table := func(inodes ...uint64) (sockets []socket.Socket) {
		for _, inode := range inodes {
			sockets = append(sockets, socket.Socket{Inode: inode})
		}
		return sockets
	}
	if got := closedInodes(table(0, 1, 2), table(2, 3)); len(got) != 1 || !got[1] {
		t.Errorf("%v, want 1", got)
	}
}
