package socket

import (
	"net/netip"
	"testing"
	"time"
)

func TestClosedAt(t *testing.T) {
	readAt := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for name, test := range map[string]struct {
		state     State
		remaining time.Duration
		readAt    time.Time
		want      time.Time
	}{
		"just closed":          {TimeWait, time.Minute, readAt, readAt.Truncate(time.Second)},
		"truncated":            {TimeWait, 57990 * time.Millisecond, readAt, readAt.Add(-2678 * time.Millisecond)},
		"about to end":         {TimeWait, 10 * time.Millisecond, readAt, readAt.Add(-60678 * time.Millisecond)},
		"unknown":              {TimeWait, 0, readAt, time.Time{}},
		"longer than a minute": {TimeWait, time.Minute + 1, readAt, time.Time{}},
		"another state":        {Established, time.Second, readAt, time.Time{}},
		"not read":             {TimeWait, time.Second, time.Time{}, time.Time{}},
	} {
		if got := (Socket{State: test.state, Remaining: test.remaining}).ClosedAt(test.readAt); !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestListening(t *testing.T) {
	peer := netip.MustParseAddrPort("10.0.0.2:53")
	for name, test := range map[string]struct {
		socket Socket
		want   bool
	}{
		"TCP listener":               {Socket{State: Listen}, true},
		"TCP connection":             {Socket{State: Established, Remote: peer}, false},
		"closed TCP socket":          {Socket{State: Close}, false},
		"UDP, unconnected":           {Socket{Protocol: UDP, State: Close, Remote: netip.AddrPortFrom(netip.IPv4Unspecified(), 0)}, true},
		"UDP, connected":             {Socket{Protocol: UDP, State: Established, Remote: peer}, false},
		"UDP, connected to port 0":   {Socket{Protocol: UDP, State: Established, Remote: netip.AddrPortFrom(peer.Addr(), 0)}, false},
		"UDP, with the state LISTEN": {Socket{Protocol: UDP, State: Listen}, false},
	} {
		if got := test.socket.Listening(); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
