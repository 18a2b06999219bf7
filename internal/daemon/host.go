package daemon

import (
	"context"
	"net/netip"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// detectInterfaces returns the visible addresses of the host, or 0.0.0.0 if there are none.
func (d *Daemon) detectInterfaces(result collect.Result, networks []container.NetworkConfig) snapshot.Interfaces {
	reachable := snapshot.ReachableAddresses(result, networks)
	d.changes.interfaces(reachable, result.AddressesErr)
	if len(reachable) == 0 {
		return snapshot.Interfaces{Addresses: []netip.Addr{netip.IPv4Unspecified()}}
	}
	return snapshot.Interfaces{Addresses: reachable, Detected: true}
}

func (d *Daemon) newHost(ctx context.Context, result collect.Result) snapshot.Host {
	described, err := d.engineInfo.update(ctx, hostPause, d.engine.Host)
	d.changes.host(err)
	host := snapshot.Host{
		Host: described, InstanceID: d.instanceID, Addresses: snapshot.HostAddresses(result), Sockets: snapshot.AttributeHost(result),
	}
	host.AllAddresses = len(host.Addresses) > 0
	if d.kernel.RunsEngine || host.AllAddresses { // the addresses come from a /proc with the engine's processes
		host.BootID = d.kernel.BootID
	}
	if !host.AllAddresses {
		host.Addresses = d.interfaces
	}
	return host
}

const (
	// describeTimeout bounds the wait for what the engine reports of itself and its networks. A snapshot is useful without it.
	describeTimeout = 2 * time.Second
	// hostPause is the minimum time before the next attempt after the engine failed to describe itself.
	hostPause = 10 * time.Second
	// networksPause is the same for its networks: a socket proxy may forbid that call permanently.
	networksPause = time.Minute
)

// lastKnown is an answer of the engine that stays valid while the engine does not respond.
type lastKnown[T any] struct {
	value T
	err   error     // of the last attempt
	retry time.Time // the earliest time of the next attempt after an error
}

// update calls the engine, unless a call failed within the last pause. It returns the last known answer, and the error of the
// last call.
func (k *lastKnown[T]) update(ctx context.Context, pause time.Duration, call func(context.Context) (T, error)) (T, error) {
	if k.err != nil && time.Now().Before(k.retry) {
		return k.value, k.err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	value, err := call(ctx)
	if k.err = err; err != nil {
		k.retry = time.Now().Add(pause)
		return k.value, err
	}
	k.value = value
	return value, nil
}
