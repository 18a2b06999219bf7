//go:build !linux

package sockdiag

import (
	"errors"

	"github.com/PabloL007/outpost/internal/socket"
)

// Listener receives nothing: only Linux has destroy events.
type Listener struct{}

// Listen returns errors.ErrUnsupported.
func Listen() (*Listener, error) { return nil, errors.ErrUnsupported }

// HearsAllNetNS reports false.
func (*Listener) HearsAllNetNS() bool { return false }

// LimitUnread does nothing.
func (*Listener) LimitUnread(int) {}

// Close does nothing.
func (*Listener) Close() error { return nil }

// More never has an element.
func (*Listener) More() <-chan struct{} { return nil }

// Receive returns events.
func (*Listener) Receive(events []socket.Ended) (all []socket.Ended, losses uint64) { return events, 0 }

// EndsIn hears no namespace.
func (*Listener) EndsIn(int32) (ends uint64, ok bool) { return 0, false }
