package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/socket"
)

// scriptedWire answers the requests with datagrams, and then with err.
type scriptedWire struct {
	datagrams [][]byte
	err       error
	timeouts  []time.Duration
	sent      int
}

func (w *scriptedWire) send([]byte) error { w.sent++; return nil }

func (w *scriptedWire) receive(buffer []byte) (int, error) {
	if len(w.datagrams) == 0 {
		return 0, w.err
	}
	n := copy(buffer, w.datagrams[0])
	w.datagrams = w.datagrams[1:]
	return n, nil
}

func (w *scriptedWire) setTimeout(timeout time.Duration) error {
	w.timeouts = append(w.timeouts, timeout)
	return nil
}

func (w *scriptedWire) close() error { return nil }

// netlinkMessage returns a message with a header.
func netlinkMessage(kind netlink.HeaderType, flags netlink.HeaderFlags, sequence uint32, data []byte) []byte {
	message := make([]byte, headerSize, headerSize+len(data))
	binary.NativeEndian.PutUint32(message[headerLength:], uint32(headerSize+len(data)))
	binary.NativeEndian.PutUint16(message[headerType:], uint16(kind))
	binary.NativeEndian.PutUint16(message[headerFlags:], uint16(flags))
	binary.NativeEndian.PutUint32(message[headerSequence:], sequence)
	return append(message, data...)
}

func errno(n unix.Errno) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-int32(n))) }

func TestKeptDump(t *testing.T) {
	row := func(sequence uint32, cookie uint64) []byte {
		return netlinkMessage(getSock, netlink.Multi, sequence, message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, cookie))
	}
	done := netlinkMessage(netlink.Done, netlink.Multi, 1, errno(0))
	long := row(1, 1)
	binary.NativeEndian.PutUint32(long[headerLength:], 1000)
	badAttribute := append(message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 1), 200, 0, attributeCgroup, 0)
	for name, test := range map[string]struct {
		datagrams [][]byte
		wireErr   error
		want      int
		wantErr   error
		fails     bool
	}{
		"two datagrams":       {datagrams: [][]byte{append(row(1, 1), row(1, 2)...), done}, want: 2},
		"end beside rows":     {datagrams: [][]byte{append(row(1, 1), done...)}, want: 1},
		"repeated socket":     {datagrams: [][]byte{row(1, 1), row(1, 1), done}, want: 1},
		"rest of another":     {datagrams: [][]byte{row(7, 1), done}, wantErr: errSequence},
		"end of another":      {datagrams: [][]byte{netlinkMessage(netlink.Done, 0, 7, errno(0))}, wantErr: errSequence},
		"interrupted":         {datagrams: [][]byte{netlinkMessage(getSock, netlink.DumpInterrupted, 1, row(1, 1)[headerSize:]), done}, wantErr: errDumpInterrupted},
		"overrun":             {datagrams: [][]byte{row(1, 1)}, wireErr: unix.ENOBUFS, wantErr: unix.ENOBUFS},
		"unsupported":         {datagrams: [][]byte{netlinkMessage(netlink.Error, 0, 1, errno(unix.ENOENT))}, wantErr: ErrUnsupported},
		"failed end":          {datagrams: [][]byte{netlinkMessage(netlink.Done, 0, 1, errno(unix.EPERM))}, wantErr: unix.EPERM},
		"short header":        {datagrams: [][]byte{row(1, 1)[:headerSize-1]}, wantErr: errTruncated},
		"length beyond end":   {datagrams: [][]byte{long}, wantErr: errTruncated},
		"short socket":        {datagrams: [][]byte{netlinkMessage(getSock, 0, 1, make([]byte, 10))}, wantErr: errShort},
		"truncated attribute": {datagrams: [][]byte{netlinkMessage(getSock, 0, 1, badAttribute)}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			k := &Kept{wire: &scriptedWire{datagrams: test.datagrams, err: test.wireErr}}
			sockets, err := k.Listeners(t.Context(), nil)
			switch {
			case test.fails && err == nil, !test.fails && !errors.Is(err, test.wantErr):
				t.Errorf("%v, want %v", err, test.wantErr)
			case err == nil && len(sockets) != test.want:
				t.Errorf("%d sockets, want %d", len(sockets), test.want)
			}
		})
	}
}

func TestKeptDumpReturnsSocketsUpToQuota(t *testing.T) {
	row := func(cookie uint64) []byte {
		return netlinkMessage(getSock, 0, 1, message(t, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, cookie))
	}
	k := &Kept{wire: &scriptedWire{datagrams: [][]byte{row(1), row(2), row(3), row(4)}}}
	sockets, err := k.All(t.Context(), false, socket.NewBudget(3, 1).Quota(1))
	if !errors.Is(err, ErrQuota) || len(sockets) != 3 {
		t.Errorf("%d sockets, %v", len(sockets), err)
	}
}

func TestKeptDumpIsBoundedByContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	w := &scriptedWire{datagrams: [][]byte{netlinkMessage(netlink.Done, 0, 1, errno(0)), netlinkMessage(netlink.Done, 0, 2, errno(0))}}
	k := &Kept{wire: w}
	for range 2 {
		if _, err := k.Listeners(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.timeouts) != 1 || w.timeouts[0] > time.Hour {
		t.Errorf("timeouts %v, want one of an hour", w.timeouts)
	}
	cancel()
	if _, err := k.Listeners(ctx, nil); !errors.Is(err, context.Canceled) || w.sent != 2 {
		t.Errorf("%v after %d requests", err, w.sent)
	}
}

func FuzzKeptDatagram(f *testing.F) {
	f.Add(netlinkMessage(netlink.Done, 0, 1, errno(0)))
	f.Add(netlinkMessage(getSock, 0, 1, message(f, ends("10.0.0.1:80", "10.0.0.2:4000"), familyIPv4, 1)))
	f.Fuzz(func(_ *testing.T, datagram []byte) {
		for _, protocol := range []socket.Protocol{socket.TCP, socket.UDP} {
			answer := dumpAnswer{sequence: 1, protocol: protocol, seen: make(map[uint64]struct{})}
			_ = answer.add(datagram)
		}
	})
}
