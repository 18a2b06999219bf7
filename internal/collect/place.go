package collect

import (
	"context"
	"errors"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
)

// place is the network namespace that a container is in by the engine's words.
type place struct {
	// key is equal for the containers of one namespace.
	key string
	// owner is the ID, or what the engine called it, of the container for which the namespace was made.
	owner string
	// left is the container that stayed behind in its owner's old namespace when that was started anew, in a new one;
	// empty if none did.
	left string
	// host: it is the host's own.
	host bool
	// shared: another container uses it, or may.
	shared    bool
	published []container.Binding
}

// placeOf finds a container's place. It returns one also with an error: then nothing is known of what is published.
func (r *round) placeOf(ctx context.Context, c container.Container) (place, error) {
	p, err := r.follow(ctx, c)
	switch {
	case c.Sandboxed: // whatever it joined, its sockets are its own
		p.key, p.owner, p.left, p.shared = "sandbox of "+c.ID, c.ID, "", false
	case p.host: // the host's is never made anew
		p.key, p.left, p.shared = "host", "", true
	case p.left != "":
		p.key = "left behind with " + p.left
	default:
		p.key = p.owner
	}
	return p, err
}

// follow follows the networks that were joined.
func (r *round) follow(ctx context.Context, c container.Container) (place, error) {
	const maxJoins = 8 // a chain of joined networks, or a circle if the engine is confused
	owner, left := c, ""
	for range maxJoins {
		target, joined := owner.Network.Joined()
		if !joined {
			break
		}
		next, err := r.inspect(ctx, target)
		if errors.Is(err, container.ErrNotFound) { // its namespace lives on
			return place{owner: target, shared: true}, nil
		}
		if err != nil {
			return place{owner: target, shared: true}, err
		}
		if next.StartedAt.After(owner.StartedAt) {
			left = owner.ID
		}
		owner = next
	}
	return place{
		owner: owner.ID, left: left, host: owner.Network.Host(), published: owner.Published,
		shared: owner.ID != c.ID || r.isJoined(c),
	}, nil
}

// namespace is a network namespace that is being read.
type namespace struct {
	NetNS
	members  []*member
	method   Method
	unused   []Skipped
	problems []Problem // of the tables, through whichever container they are read
	err      error     // why the tables are not complete
}

// place sorts the containers into namespaces: by the kernel's word where their processes are in sight, else by the
// engine's.
func (r *round) place(members []*member) []*namespace {
	p := placing{
		byKernel: make(map[hostproc.Namespace]*namespace), byWords: make(map[string]*namespace),
		of: make(map[string]*namespace), ids: make(map[string]bool),
	}
	var unseen []*member
	allSeen := true
	for _, m := range members {
		switch {
		case m.process.seen():
			p.seen(m)
		case m.process.err != nil:
			unseen = append(unseen, m)
			allSeen = allSeen && m.Container.Sandboxed
		case !m.gone && m.Container.State != container.Restarting: // it could not be inspected
			allSeen = false
		}
	}
	for _, m := range unseen {
		p.unseen(m)
	}
	for _, n := range p.all {
		n.describe(p.of, allSeen)
	}
	return p.all
}

// placing are the namespaces that were found so far.
type placing struct {
	all      []*namespace
	byKernel map[hostproc.Namespace]*namespace
	byWords  map[string]*namespace
	of       map[string]*namespace // by ID of a container whose process is in sight
	ids      map[string]bool
}

func (p *placing) seen(m *member) {
	n := p.byKernel[m.process.process.Namespace()]
	if n == nil {
		n = p.add(m)
		p.byKernel[m.process.process.Namespace()] = n
	}
	n.join(m)
	p.of[m.Container.ID] = n
	if key := m.place.key; p.byWords[key] == nil || m.place.owner == m.Container.ID {
		p.byWords[key] = n
	}
}

func (p *placing) unseen(m *member) {
	n := p.byWords[m.place.key]
	if n == nil {
		n = p.add(m)
		p.byWords[m.place.key] = n
	}
	n.join(m)
}

// add makes a namespace that is named after its first member's place.
func (p *placing) add(m *member) *namespace {
	n := &namespace{NetNS: NetNS{ID: m.place.key}, method: None}
	if p.ids[n.ID] { // the engine's words are wrong
		n.ID += " of " + m.Container.ID
	}
	p.ids[n.ID] = true
	p.all = append(p.all, n)
	return n
}

func (n *namespace) join(m *member) {
	m.namespace = n
	n.members = append(n.members, m)
}

// describe says what kind of namespace it is. Where the owner's process is in sight, that tells better than the engine
// whether it is in this one. of are the namespaces of containers in sight, and all are if allSeen.
func (n *namespace) describe(of map[string]*namespace, allSeen bool) {
	n.Shared = len(n.members) > 1
	for _, m := range n.members {
		in, ownerSeen := of[m.place.owner]
		if ownerSeen && in != n || !ownerSeen && m.place.left != "" {
			continue
		}
		n.Host = n.Host || m.place.host
		n.Shared = n.Shared || m.place.shared && (m.place.host || !allSeen)
		if n.Published == nil {
			n.Published = m.place.published
		}
	}
}
