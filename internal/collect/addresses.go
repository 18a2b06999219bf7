package collect

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/hostproc"
	"github.com/PabloL007/outpost/internal/socket"
)

const (
	// addressesMaxAge is how long the addresses of a network namespace are kept.
	addressesMaxAge = 30 * time.Second
	// maxForeign bounds the addresses of sockets that are not addresses of their network namespace.
	maxForeign = 1000
)

// readAddresses reads the addresses of a container's network namespace through a visible process. Without one, they are those
// that the command printed. An error leaves them unknown.
func (p *pass) readAddresses(ctx context.Context, n *netnsRead) {
	if n.Host { // Host of the snapshot has them.
		n.Addresses = nil
		return
	}
	i := slices.IndexFunc(n.targets, func(t *target) bool { return t.process.visible() })
	if i < 0 {
		return
	}
	t := n.targets[i]
	if p.knowsAddresses(n, t) {
		return
	}
	if err := p.withProcess(ctx, t, func(process *hostproc.Process) (err error) {
		n.Addresses, err = process.LocalAddresses()
		return err
	}); err == nil {
		p.addresses.put(t.addressKey(), newNetNSAddresses(n.Addresses, n.Sockets))
	}
}

// knowsAddresses sets the addresses of a network namespace if they are known.
func (p *pass) knowsAddresses(n *netnsRead, t *target) bool {
	known, ok := p.addresses.get(t.addressKey())
	if !ok || !known.explains(n.Sockets) {
		return false
	}
	n.Addresses = known.addresses
	return true
}

func (t *target) addressKey() addressKey {
	return addressKey{t.process.process.NetNSID(), t.Container.ID, t.Container.StartedAt.UnixNano()}
}

// addressCache keeps the addresses of network namespaces between collections. It is safe for concurrent use.
type addressCache struct {
	mu      sync.Mutex
	entries map[addressKey]netnsAddresses
}

// addressKey identifies a network namespace. The kernel uses the ID of a removed one again, but then another container, or
// another start of it, is in there.
type addressKey struct {
	netns     hostproc.NetNSID
	container string
	startedAt int64
}

// netnsAddresses are the addresses of a network namespace.
type netnsAddresses struct {
	addresses []netip.Addr // ascending
	// foreign are the local addresses of sockets that are not among addresses, ascending. A transparent proxy has such sockets.
	foreign []netip.Addr
	readAt  time.Time
}

func newNetNSAddresses(addresses []netip.Addr, sockets []socket.Socket) netnsAddresses {
	a := netnsAddresses{addresses: addresses, readAt: time.Now()}
	foreign := make(map[netip.Addr]bool)
	for _, s := range sockets {
		if addr := s.Local.Addr(); len(foreign) < maxForeign && !a.explainsAddr(addr) {
			foreign[addr] = true
		}
	}
	for addr := range foreign {
		a.foreign = append(a.foreign, addr)
	}
	slices.SortFunc(a.foreign, netip.Addr.Compare)
	return a
}

// explains reports whether each local address of sockets is known. An unknown one may be new.
func (a netnsAddresses) explains(sockets []socket.Socket) bool {
	var last netip.Addr
	for _, s := range sockets {
		if addr := s.Local.Addr(); addr != last && !a.explainsAddr(addr) {
			return false
		}
		last = s.Local.Addr()
	}
	return true
}

func (a netnsAddresses) explainsAddr(addr netip.Addr) bool {
	if addr.IsUnspecified() || addr.IsLoopback() {
		return true
	}
	_, isOwn := slices.BinarySearchFunc(a.addresses, addr, netip.Addr.Compare)
	_, isForeign := slices.BinarySearchFunc(a.foreign, addr, netip.Addr.Compare)
	return isOwn || isForeign
}

func (c *addressCache) get(key addressKey) (netnsAddresses, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.entries[key]
	return known, ok && time.Since(known.readAt) < addressesMaxAge
}

func (c *addressCache) put(key addressKey, addresses netnsAddresses) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[key] = addresses
}

// expire removes old addresses, of removed namespaces too.
func (c *addressCache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, known := range c.entries {
		if time.Since(known.readAt) >= addressesMaxAge {
			delete(c.entries, key)
		}
	}
}
