package collect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procnet"
)

// namespace is a network namespace that is being read.
type namespace struct {
	Namespace

	mu       sync.Mutex
	done     bool
	problems []Problem // of all containers in it
}

// readOnce reads the tables, unless that has been done through another container. It waits for one who is at it.
func (n *namespace) readOnce(tables func() (procnet.Table, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.done {
		return nil
	}
	table, err := tables()
	if !table.IPv4 && !table.IPv6 {
		return err
	}
	n.done = true
	n.Sockets = table.Sockets
	if err != nil || table.Malformed > 0 {
		n.problems = append(n.problems, tableProblem(table, err))
	}
	return nil
}

// tableProblem says what is wrong with a table that was read in part. If reading was broken off, the last row is
// malformed for that reason.
func tableProblem(table procnet.Table, err error) Problem {
	malformed := fmt.Sprintf("%d of %d rows cannot be decoded; %v", table.Malformed, table.Malformed+len(table.Sockets), table.FirstMalformed)
	switch {
	case err == nil:
		return Problem{Reason: "rows of the socket table cannot be decoded", Detail: malformed}
	case table.Malformed == 0:
		return problemOf(err)
	}
	p := problemOf(err)
	p.Detail = strings.TrimPrefix(p.Detail+"; "+malformed, "; ")
	return p
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
	if owner.Network.Host() {
		return r.namespace("host", Namespace{Host: true, Shared: true}), nil
	}
	shared := owner.ID != c.ID || r.joined[owner.ID] || r.joined[strings.TrimPrefix(owner.Name, "/")]
	return r.namespace(owner.ID, Namespace{Shared: shared, Published: owner.Published}), nil
}

// namespace returns the one namespace of the key.
func (r *round) namespace(key string, as Namespace) *namespace {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.namespaces[key]
	if !ok {
		n = &namespace{Namespace: as}
		r.namespaces[key] = n
	}
	return n
}
