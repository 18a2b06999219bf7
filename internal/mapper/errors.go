package mapper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// notFoundError is the response 404.
type notFoundError struct{ path string }

func (e notFoundError) Error() string { return "has no path " + e.path }

// explain returns an error for people: the cause without technical details that vary between polls.
func explain(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("invalid JSON: %w", err)
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("not a response of Outpost: %w", err)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("no response in time")
	case errors.Is(err, context.Canceled): // by limitedBody
		return errors.New("the response is too slow")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there")
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return errors.New("closed the connection before the end of the response")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok { // drop the ports of the connection
		err = op.Err
	}
	return errors.New(strings.ToValidUTF8(fmt.Sprintf("%.300s", err.Error()), "?"))
}
