package callpool

import (
	"errors"
	"fmt"
	"time"
)

// ErrClosed is the error of a call that was not made because its pool is closed.
var ErrClosed = errors.New("call pool closed")

// TimeoutError is the error of a call without an answer in time.
type TimeoutError struct {
	Kind string // of the call's Key
	// Waited is how long the caller waited.
	Waited time.Duration
	// NotStarted means that the call was not made because an earlier call with the same key is still running.
	NotStarted bool
}

func (e *TimeoutError) Error() string { return e.Reason() + ": " + e.Detail() }

// Reason returns a text that is the same for all timeouts of one kind.
func (e *TimeoutError) Reason() string { return e.Kind + ": no answer in time" }

// Detail returns how long the caller waited, or why the call was not made.
func (e *TimeoutError) Detail() string {
	if e.NotStarted {
		return "an earlier call has not ended"
	}
	return fmt.Sprintf("waited for %v", e.Waited.Round(time.Millisecond))
}

// IsTimeout reports whether err is that of a call that was waited for and did not answer. It is false for a call that
// was not made, which costs no time.
func IsTimeout(err error) bool {
	late, ok := errors.AsType[*TimeoutError](err)
	return ok && !late.NotStarted
}

// CachedError is an earlier error from a FailureCache. The call was not repeated.
type CachedError struct{ err error }

func (e *CachedError) Error() string { return e.err.Error() }

// Unwrap returns the earlier error.
func (e *CachedError) Unwrap() error { return e.err }

// IsCached reports whether err comes from a FailureCache.
func IsCached(err error) bool {
	_, ok := errors.AsType[*CachedError](err)
	return ok
}

// PermanentError is an error that a FailureCache keeps for the whole life of a container if Permanent returns true.
type PermanentError interface {
	error
	Permanent() bool
}

func isPermanent(err error) bool {
	e, ok := errors.AsType[PermanentError](err)
	return ok && e.Permanent()
}
