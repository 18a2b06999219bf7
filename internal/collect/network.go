package collect

import (
	"context"
	"errors"
	"strings"

	"github.com/PabloL007/outpost/internal/container"
)

// hostKey is the key of the host's own network namespace.
const hostKey = "host"

// networkRef is the network namespace of a container as the engine describes it.
type networkRef struct {
	// key is equal for all containers of one network namespace.
	key string
	// creator is the container that the network namespace was made for: its ID, or the engine's name for it.
	creator string
	// orphan is the container that is still in the creator's previous network namespace after the creator restarted into a
	// new one. Empty if the creator has not restarted since.
	orphan string
	// host: it is the host's own network namespace.
	host bool
	// shared: another container uses it, or may use it.
	shared    bool
	published []container.Binding
}

// resolveNetwork returns the network namespace of a container. With an error, the result has key, creator and
// shared only.
func (p *pass) resolveNetwork(ctx context.Context, c container.Container) (networkRef, error) {
	ref, err := p.followJoins(ctx, c)
	switch {
	case c.Sandboxed: // A sandbox has the sockets of its container only, whatever network it joined.
		ref.key, ref.creator, ref.orphan, ref.shared = "sandbox of "+c.ID, c.ID, "", false
	case ref.host: // The host's network namespace exists until the host restarts.
		ref.key, ref.orphan, ref.shared = hostKey, "", true
	case ref.orphan != "":
		ref.key = "left behind with " + ref.orphan
	default:
		ref.key = ref.creator
	}
	return ref, err
}

// followJoins follows network modes of the form container:<ID or name> to the creator of the network namespace.
func (p *pass) followJoins(ctx context.Context, c container.Container) (networkRef, error) {
	const maxJoins = 8 // ends a circle
	creator, orphan := c, ""
	for range maxJoins {
		id, joined := creator.NetworkMode.JoinedContainer()
		if !joined {
			break
		}
		next, err := p.inspect(ctx, id)
		if errors.Is(err, container.ErrNotFound) { // The network namespace outlives its creator.
			return networkRef{creator: id, shared: true}, nil
		}
		if err != nil {
			return networkRef{creator: id, shared: true}, err
		}
		if next.StartedAt.After(creator.StartedAt) {
			orphan = creator.ID
		}
		creator = next
	}
	return networkRef{
		creator: creator.ID, orphan: orphan, host: creator.NetworkMode.IsHost(), published: creator.Published,
		shared: creator.ID != c.ID || p.isJoined(c),
	}, nil
}

// isJoined reports whether another container joined c's network.
func (p *pass) isJoined(c container.Container) bool {
	return p.joined[c.ID] || p.joined[strings.TrimPrefix(c.Name, "/")]
}
