package conntrack

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// getFlows is the type of the request for the table, with IPCTNL_MSG_CT_GET (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
const getFlows = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1

var errInterrupted = errors.New("the table changed during the dump") // NLM_F_DUMP_INTR

// Dump reads a table through netlink (net/netfilter/nf_conntrack_netlink.c), which requires CAP_NET_ADMIN. netns is a file such as
// /proc/<pid>/ns/net. nil is Outpost's own network namespace, another one requires CAP_SYS_ADMIN. It keeps the flows that a Decoder
// keeps. ctx bounds it by its deadline.
func Dump(ctx context.Context, netns *os.File) (Table, error) {
	config := &netlink.Config{}
	if netns != nil {
		config.NetNS = int(netns.Fd())
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, config)
	if err != nil {
		return Table{}, fmt.Errorf("conntrack netlink: %w", err)
	}
	table, err := dump(ctx, conn)
	if err != nil {
		err = fmt.Errorf("conntrack netlink: %w", err)
	}
	return table, errors.Join(err, conn.Close())
}

func dump(ctx context.Context, conn *netlink.Conn) (table Table, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return table, err
		}
	}
	if _, err := conn.Send(netlink.Message{
		Header: netlink.Header{Type: getFlows, Flags: netlink.Request | netlink.Dump}, Data: make([]byte, messageHeader), // of both families
	}); err != nil {
		return table, err
	}
	for message, err := range conn.ReceiveIter() {
		switch {
		case err == nil && message.Header.Flags&netlink.DumpInterrupted != 0:
			return table, errInterrupted
		case err != nil:
			return table, err
		case message.Header.Type == netlink.Done:
		case table.Rows == MaxRows:
			table.Cut = true
		default:
			table.addMessage(message.Data)
		}
	}
	return table, nil
}

// addMessage adds the flow of a message, if it is to be kept.
func (t *Table) addMessage(message []byte) {
	t.Rows++
	flow, skip, err := decodeMessage(message)
	switch {
	case err != nil:
		t.addMalformed(t.Rows, message, err)
	case !skip:
		t.add(flow, false)
	}
}
