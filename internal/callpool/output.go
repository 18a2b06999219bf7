package callpool

import (
	"errors"
	"io"
	"strings"
)

// ErrOutputLimit is the error of a write beyond the limit of an Output.
var ErrOutputLimit = errors.New("output limit exceeded")

// Output bounds what a command prints to all of its streams together. It passes the first keep bytes on, and discards
// up to discard bytes more. So a command with too much output can still end. A write beyond both fails with
// ErrOutputLimit. An Output is not safe for concurrent use.
type Output struct {
	keep, discard int
	truncated     bool
}

// NewOutput returns an output that passes on keep bytes and discards further ones up to discard bytes.
func NewOutput(keep, discard int) *Output { return &Output{keep: keep, discard: discard} }

// Truncated reports whether some output was discarded.
func (o *Output) Truncated() bool { return o.truncated }

// To returns a writer for one stream, which passes on to next.
func (o *Output) To(next io.Writer) io.Writer { return cappedWriter{o, next} }

type cappedWriter struct {
	output *Output
	next   io.Writer
}

func (w cappedWriter) Write(p []byte) (int, error) {
	o := w.output
	n, err := w.next.Write(p[:min(len(p), o.keep)])
	o.keep -= n
	rest := len(p) - n
	if err != nil || rest == 0 {
		return n, err
	}
	o.truncated = true
	if o.discard -= rest; o.discard < 0 {
		return n, ErrOutputLimit
	}
	return len(p), nil
}

// Prefix is a writer that keeps the first 512 bytes, for error texts.
type Prefix struct{ text []byte }

const maxPrefix = 512 // bytes

// Write never fails.
func (b *Prefix) Write(p []byte) (int, error) {
	b.text = append(b.text, p[:min(len(p), maxPrefix-len(b.text))]...)
	return len(p), nil
}

// String returns the prefix on one line.
func (b *Prefix) String() string { return strings.Join(strings.Fields(string(b.text)), " ") }
