// Command outpost shows which container of a Docker host listens where, and who is connected to whom.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// The leading thread is locked to main, which only waits, so that it never enters another network namespace. /proc/self/net is
// that of the leading thread, and a command that the engine runs in Outpost's container joins its namespace.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
