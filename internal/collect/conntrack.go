package collect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// Reasons why the tracked connections are not read.
const (
	noGroupReason = "group 0 is missing to read the tracked connections: --group-add 0"
	noHostReason  = "the tracked connections are read through the host's /proc, which is not used or not visible"
)

// Conntrack reads the host's table of tracked connections, without those that are not translated. Call it after Collect, which finds out
// whether Proc is the host's. An error is a reason for people.
func (c *Collector) Conntrack(ctx context.Context) (conntrack.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	process, err := (&pass{Collector: c}).hostProcess()
	if err != nil {
		return conntrack.Table{}, &reasonError{Problem: Problem{Reason: noHostReason}}
	}
	defer func() { _ = process.Close() }()
	table, err := readConntrack(process, conntrack.KernelRelease())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return c.dumpConntrack(ctx, process, err)
	}
	return table, err
}

// readConntrack reads the table as text. A kernel that reads long ones slowly does not read them.
func readConntrack(process *hostproc.Process, kernel conntrack.Release) (conntrack.Table, error) {
	rows, err := process.CountConntrack()
	if err != nil || rows == 0 {
		return conntrack.Table{}, err
	}
	if rows > conntrack.MaxSlowRows && !kernel.ReadsFast() {
		return conntrack.Table{}, &reasonError{Problem: Problem{
			Reason: fmt.Sprintf("kernels before 6.16 take seconds to read more than %d tracked connections", conntrack.MaxSlowRows),
			Detail: "this is " + kernel.String(),
		}}
	}
	decoder := conntrack.NewDecoder()
	if err := process.CopyConntrack(decoder); err != nil && !errors.Is(err, conntrack.ErrTooManyRows) {
		return conntrack.Table{}, err
	}
	return decoder.Table(), nil
}

// dumpConntrack reads the table through netlink. textErr is why it cannot be read as text.
func (c *Collector) dumpConntrack(ctx context.Context, process *hostproc.Process, textErr error) (conntrack.Table, error) {
	if err := c.explainConntrack(textErr); err != nil {
		return conntrack.Table{}, err
	}
	var netns *os.File
	if process.NetNSID() != c.readOwnNetNS() {
		var err error
		if netns, err = process.OpenNetNS(); err != nil {
			return conntrack.Table{}, &reasonError{Problem: Problem{
				Reason: c.Proc.SelfCapabilities().ExplainDenial("to enter the host's network namespace", hostproc.SysPtrace, hostproc.SysAdmin),
			}}
		}
		defer func() { _ = netns.Close() }()
	}
	return conntrack.Dump(ctx, netns)
}

// explainConntrack returns which right is missing to read the table, by the error of its file. It returns nil if Outpost has the right to
// read it through netlink.
func (c *Collector) explainConntrack(textErr error) error {
	capabilities := c.Proc.SelfCapabilities()
	switch {
	case capabilities.Has(hostproc.NetAdmin):
		return nil
	case errors.Is(textErr, fs.ErrPermission):
		return &reasonError{Problem: Problem{Reason: noGroupReason}}
	}
	return &reasonError{Problem: Problem{Reason: "the kernel has no file of tracked connections, and " +
		capabilities.ExplainDenial("to read them through netlink", hostproc.NetAdmin)}}
}
