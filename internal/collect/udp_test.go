package collect

import (
	"context"
	"net"
	"os"
	"testing"

	"github.com/PabloL007/outpost/internal/sockdiag/sockdiagtest"
)

// bindUDPIn binds a UDP socket in a network namespace. The network is udp, udp4 or udp6.
func bindUDPIn(t testing.TB, netns *os.File, network, address string) net.PacketConn {
	t.Helper()
	var conn net.PacketConn
	sockdiagtest.In(t, netns, func() {
		var err error
		if conn, err = new(net.ListenConfig).ListenPacket(context.WithoutCancel(t.Context()), network, address); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
