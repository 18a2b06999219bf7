package container

import "errors"

// RemedyError is an error with a remedy: what the user can do about its cause.
type RemedyError struct {
	Err    error
	Remedy string
}

// Error returns the cause and the remedy.
func (e *RemedyError) Error() string { return e.Err.Error() + ": " + e.Remedy }

// Unwrap returns the cause.
func (e *RemedyError) Unwrap() error { return e.Err }

// RemedyOf returns the remedy for an error, or "" if none is known.
func RemedyOf(err error) string {
	if e, ok := errors.AsType[*RemedyError](err); ok {
		return e.Remedy
	}
	return ""
}
