package hostproc

import (
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The files stay open, and show each new listener of a network namespace. The process is this thread, which ends with its namespace.
func TestCountersAreReadAgain(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("requires root to make a network namespace")
	}
	onOtherThread(func() {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		testCounters(t)
	})
}

// onOtherThread calls do on a thread that ends after it. That is never the main thread, which /proc/self shows and which would stay in
// the namespace.
func onOtherThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			do()
			return
		}
		defer runtime.UnlockOSThread()
		onOtherThread(do)
	}()
	<-done
}

func testCounters(t *testing.T) {
	p, err := FS{"/proc"}.unverified("thread-self")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = p.Close() }()
	counters, err := p.OpenCounters()
	if err != nil {
		t.Error(err)
		return
	}
	defer counters.Close()
	for n := range 3 {
		want := SocketCounts{TCP: n, TCPKnown: true, UDP: UDPCounts{IPv4: n, IPv6: n, Known: true}}
		if got := counters.CountSockets(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		for network, address := range map[string]string{"udp4": "0.0.0.0:0", "udp6": "[::]:0"} {
			conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), network, address)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
		}
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "0.0.0.0:0")
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = listener.Close() }()
	}
	if err := p.Revalidate(); err != nil {
		t.Error(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Error(err)
	}
	if p.Revalidate() == nil {
		t.Error("valid in another network namespace")
	}
}
