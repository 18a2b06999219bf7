package collect

import (
	"context"
	"errors"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
)

// namespace is a network namespace that is being read.
type namespace struct {
	Namespace

	mu   sync.Mutex
	done bool
	read tables
}

// readOnce reads the tables, unless that has been done through another container. It waits for one who is at it.
// After an error it is the next container's turn; what was read before the error is kept until one does better.
func (n *namespace) readOnce(read func() (tables, error)) (tables, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.done {
		return n.read, nil
	}
	got, err := read()
	n.done = err == nil
	switch {
	case n.done || len(got.sockets) > len(n.read.sockets):
		n.read = got
	case n.read.unused == nil:
		n.read.unused = got.unused
	}
	return got, err
}

// namespaceOf finds the namespace that c is in. It returns one also with an error: then nothing is known of
// what is published.
func (r *round) namespaceOf(ctx context.Context, c container.Container) (*namespace, error) {
	const maxJoins = 8 // a chain of joined networks, or a circle if the engine is confused
	owner := c
	for range maxJoins {
		target, joined := owner.Network.Joined()
		if !joined {
			break
		}
		next, err := r.inspect(ctx, target)
		if err != nil {
			if errors.Is(err, container.ErrNotFound) { // its namespace lives on
				err = nil
			}
			return r.namespace(target, Namespace{Shared: true}), err
		}
		if next.StartedAt.After(owner.StartedAt) {
			// The target was started anew, in a new namespace; owner stays behind in the old one, into which
			// nothing is published any more.
			return r.namespace("left behind by "+owner.ID, Namespace{Shared: true}), nil
		}
		owner = next
	}
	if c.Sandboxed {
		return r.namespace("sandbox of "+c.ID, Namespace{Host: owner.Network.Host(), Published: owner.Published}), nil
	}
	if owner.Network.Host() {
		return r.namespace("host", Namespace{Host: true, Shared: true}), nil
	}
	shared := owner.ID != c.ID || r.isJoined(owner)
	return r.namespace(owner.ID, Namespace{Shared: shared, Published: owner.Published}), nil
}

// namespace returns the one namespace of the key.
func (r *round) namespace(key string, as Namespace) *namespace {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.namespaces[key]
	if !ok {
		as.ID = key
		n = &namespace{Namespace: as}
		r.namespaces[key] = n
	}
	return n
}
