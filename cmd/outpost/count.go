package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/daemon"
	"github.com/PabloL007/outpost/internal/hostproc"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/sockdiag"
	"github.com/PabloL007/outpost/internal/traffic"
)

// count counts connections until ctx ends, if the kernel lets Outpost hear the ends of their sockets.
func (o *outpost) count(ctx context.Context, c config.Config, localMap *daemon.LocalMap) {
	listener, err := o.listenToEnds(c)
	if err != nil {
		o.log.Info().Str("reason", err.Error()).Msg("Connections are sampled, not counted")
		return
	}
	defer func() { _ = listener.Close() }()
	scope := countingScope(listener)
	if limit := o.memory.maxSockets; limit > 0 {
		const part = 4 // an event takes a tenth of the memory of a socket
		listener.LimitUnread(limit / part)
	}
	table := traffic.NewTable(scope, o.memory.maxSockets, time.Now())
	o.CountWith(table)
	o.collector.HearEnds(listener.EndsIn)
	defer o.collector.HearEnds(nil)
	if _, err := o.Sample(ctx); err != nil { // events wait until a snapshot shows where they belong
		localMap.SampleSoon()
	}
	o.log.Info().Str("scope", scope).Msg("Counting connections by the kernel's events")
	table.Follow(ctx, listener, localMap.SampleSoon)
}

var (
	errEventsOff  = errors.New("OUTPOST_EVENTS=off")
	errNoHostProc = errors.New("the host's /proc is not visible")
	errUnverified = errors.New("no other container has shown yet that the host's /proc is the host's")
	errOtherNetNS = errors.New("only the host's network namespace hears the ends of sockets")
)

// listenToEnds begins to listen to the ends of sockets. The collector must have been probed.
func (o *outpost) listenToEnds(c config.Config) (*sockdiag.Listener, error) {
	switch {
	case !c.Events:
		return nil, errEventsOff
	case !o.collector.HasMountedProc():
		return nil, errNoHostProc
	case !o.collector.IsHostProcVerified():
		return nil, errUnverified
	case !o.collector.IsInHostNetNS():
		return nil, errOtherNetNS
	}
	return sockdiag.Listen()
}

func countingScope(listener *sockdiag.Listener) string {
	if listener.HearsAllNetNS() {
		return snapshotv1.CountAll
	}
	return snapshotv1.CountHost
}

// examineEvents prints whether connections are counted, and what is missing.
func examineEvents(here *outpost, c config.Config, row printRow) {
	listener, err := here.listenToEnds(c)
	flags := flagsForEvents(here, err)
	if err != nil {
		row("events", "connections are sampled, not counted: %v", err)
		if len(flags) > 0 {
			row("", "they would be counted, however short, with bytes and failed dials: %s", strings.Join(flags, " "))
		}
		return
	}
	defer func() { _ = listener.Close() }()
	if listener.HearsAllNetNS() {
		row("events", "all connections of the host and its containers are counted")
		return
	}
	row("events", "all connections of the host are counted, those of containers are sampled")
	if len(flags) > 0 { // else the kernel denies it despite the capability
		row("", "those of containers would be counted too: %s", strings.Join(flags, " "))
	}
}

// flagsForEvents returns the flags that Outpost lacks to hear the ends of all sockets. err is why it hears none.
func flagsForEvents(here *outpost, err error) (flags []string) {
	if errors.Is(err, errEventsOff) {
		return nil
	}
	if errors.Is(err, errNoHostProc) {
		flags = append(flags, "-v /proc:"+hostproc.DefaultMount+":ro")
	}
	if errors.Is(err, errNoHostProc) || errors.Is(err, errOtherNetNS) {
		flags = append(flags, "--network host")
	}
	return append(flags, here.collector.Proc.SelfCapabilities().FlagsFor(hostproc.NetBroadcast)...)
}
