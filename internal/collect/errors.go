package collect

import (
	"errors"
	"strings"

	"github.com/PabloL007/outpost/internal/callpool"
)

// Problem is why something about a container is missing.
type Problem struct {
	// Reason is a text for people. Equal causes have equal reasons.
	Reason string
	// Detail may differ each time. It may be empty.
	Detail string
}

func (p Problem) String() string {
	if p.Detail == "" {
		return p.Reason
	}
	return p.Reason + ": " + p.Detail
}

// toProblem returns the problem that an error describes. The reason of an error without one is its operation.
func toProblem(err error) Problem {
	if explained, ok := errors.AsType[*reasonError](err); ok {
		return explained.Problem
	}
	if late, ok := errors.AsType[*callpool.TimeoutError](err); ok {
		return Problem{Reason: late.Reason(), Detail: late.Detail()}
	}
	operation, detail, ok := strings.Cut(err.Error(), ": ")
	switch {
	case !ok:
		return Problem{Reason: operation}
	case isExited(err):
		return Problem{Reason: operation, Detail: detail}
	}
	return Problem{Reason: operation + " failed", Detail: detail}
}

// reasonError is an error with a reason for people.
type reasonError struct {
	Problem
	permanent bool // the operation fails until the container starts again
	invisible bool // the container's processes may exist, but Outpost cannot see them
	hostWide  bool // the cause is in Outpost's rights or the host, not in the container
}

func (e *reasonError) Error() string { return e.String() }

// Permanent makes the failure cache keep the error until the container starts again.
func (e *reasonError) Permanent() bool { return e.permanent }

func isInvisible(err error) bool {
	e, ok := errors.AsType[*reasonError](err)
	return ok && e.invisible
}

func isHostWide(err error) bool {
	e, ok := errors.AsType[*reasonError](err)
	return ok && e.hostWide
}

// exitedError is the error of a process that was visible and has exited.
type exitedError struct{ error }

func (e *exitedError) Error() string { return "its process has exited: " + e.error.Error() }

func (e *exitedError) Unwrap() error { return e.error }

func isExited(err error) bool {
	_, ok := errors.AsType[*exitedError](err)
	return ok
}
