package collect

import (
	"errors"
	"strings"
)

// Problem is a reason for which something of a container is missing.
type Problem struct {
	// Reason is for people, and the same each time the same happens.
	Reason string
	// Detail may differ from time to time. It may be empty.
	Detail string
}

func (p Problem) String() string {
	if p.Detail == "" {
		return p.Reason
	}
	return p.Reason + ": " + p.Detail
}

// problemOf puts an error into a problem's words.
func problemOf(err error) Problem {
	var failed *explainedError
	var late *unansweredError
	switch {
	case errors.As(err, &failed):
		return failed.Problem
	case errors.As(err, &late):
		return late.problem()
	}
	operation, detail, ok := strings.Cut(err.Error(), ": ")
	switch {
	case !ok:
		return Problem{Reason: operation}
	case ended(err):
		return Problem{Reason: operation, Detail: detail}
	}
	return Problem{Reason: operation + " failed", Detail: detail}
}

// explainedError says in plain words why a method gave nothing.
type explainedError struct {
	Problem
	final   bool // as long as the container lives, it would fail again
	unseen  bool // its processes are out of sight
	general bool // it does not depend on the container: something is missing here
}

func (e *explainedError) Error() string { return e.String() }

func final(err error) bool {
	var e *explainedError
	return errors.As(err, &e) && e.final
}

// recalledError is an error of an earlier time: nothing was tried.
type recalledError struct{ error }

func (e *recalledError) Unwrap() error { return e.error }

func recalled(err error) bool {
	var e *recalledError
	return errors.As(err, &e)
}

// first returns the first error of errs that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
