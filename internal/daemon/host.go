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
func (d *Daemon) detectInterfaces(result collect.Result) snapshot.Interfaces {
	reachable := snapshot.ReachableAddresses(result)
	d.changes.interfaces(reachable, result.AddressesErr)
	if len(reachable) == 0 {
		return snapshot.Interfaces{Addresses: []netip.Addr{netip.IPv4Unspecified()}}
	}
	return snapshot.Interfaces{Addresses: reachable, Detected: true}
}

func (d *Daemon) newHost(ctx context.Context, result collect.Result) snapshot.Host {
	host := snapshot.Host{Host: d.describeEngine(ctx), Addresses: snapshot.HostAddresses(result), Sockets: snapshot.AttributeHost(result)}
	host.AllAddresses = len(host.Addresses) > 0
	if !host.AllAddresses {
		host.Addresses = d.interfaces
	}
	return host
}

const (
	// hostTimeout bounds the wait for the engine's description of itself. A snapshot is useful without it.
	hostTimeout = 2 * time.Second
	// hostPause is the minimum time before the next attempt after the engine failed to describe itself.
	hostPause = 10 * time.Second
)

// describeEngine returns the engine's description of itself, or the last known one if the engine does not respond.
func (d *Daemon) describeEngine(ctx context.Context) container.Host {
	if time.Now().Before(d.hostRetry) {
		return d.engineInfo
	}
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	host, err := d.engine.Host(ctx)
	d.changes.host(err)
	if err != nil {
		d.hostRetry = time.Now().Add(hostPause)
		return d.engineInfo
	}
	d.engineInfo = host
	return host
}
