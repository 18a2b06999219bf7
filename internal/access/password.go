package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/prometheus/common/config"
	"golang.org/x/crypto/bcrypt"
)

const (
	// maxPasswordChecks bounds how many requests wait for the check of their password.
	maxPasswordChecks = 256
	// maxVerified bounds how many verified passwords are remembered.
	maxVerified = 100
	// decoyHash is a bcrypt hash of "fakepassword". It is compared for unknown users, so that the time of an answer does
	// not show which users exist (exporter-toolkit, web/handler.go).
	decoyHash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
)

var errTooManyChecks = errors.New("too many password checks at once")

// passwordChecker checks passwords against bcrypt hashes. It remembers those that were right, because a comparison
// takes some 50 ms of one core.
type passwordChecker struct {
	compare func(hash, password []byte) error
	waiting chan struct{}
	running chan struct{} // one at a time: comparisons must not take all cores

	mu       sync.Mutex
	verified map[[sha256.Size]byte]struct{}
}

func newPasswordChecker() *passwordChecker {
	return &passwordChecker{
		compare:  bcrypt.CompareHashAndPassword,
		waiting:  make(chan struct{}, maxPasswordChecks),
		running:  make(chan struct{}, 1),
		verified: make(map[[sha256.Size]byte]struct{}),
	}
}

// check reports whether password is that of the user name. It returns errTooManyChecks, or the error of ctx if ctx ends first.
func (c *passwordChecker) check(ctx context.Context, users map[string]config.Secret, name, password string) (bool, error) {
	hash, known := users[name]
	if !known {
		hash = decoyHash
	}
	// Neither a name in basic authentication nor a bcrypt hash has a colon. The hash drops a changed password.
	key := sha256.Sum256([]byte(name + ":" + string(hash) + ":" + password))
	if c.isVerified(key) {
		return true, nil
	}
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return false, errTooManyChecks
	}
	select {
	case c.running <- struct{}{}:
		defer func() { <-c.running }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if c.compare([]byte(hash), []byte(password)) != nil || !known {
		return false, nil
	}
	c.remember(key)
	return true, nil
}

func (c *passwordChecker) isVerified(key [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.verified[key]
	return ok
}

// remember forgets an arbitrary other password if there is no room.
func (c *passwordChecker) remember(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other := range c.verified {
		if len(c.verified) < maxVerified {
			break
		}
		delete(c.verified, other)
	}
	c.verified[key] = struct{}{}
}
