package collect

import (
	"errors"
	"io"
	"strings"
)

var errOutputLimit = errors.New("output limit passed")

// limit bounds what a command may print on both its streams together: the first keep bytes are passed on and so
// many after them dropped, so that a command that prints more than is wanted can come to its end. At one byte more
// it fails with errOutputLimit. It is for one goroutine.
type limit struct {
	keep, drop int
	dropped    bool // not all that was written was passed on
}

// on returns a writer that passes on to next.
func (l *limit) on(next io.Writer) io.Writer { return limitWriter{l, next} }

type limitWriter struct {
	limit *limit
	next  io.Writer
}

func (w limitWriter) Write(p []byte) (int, error) {
	l := w.limit
	n, err := w.next.Write(p[:min(len(p), l.keep)])
	l.keep -= n
	rest := len(p) - n
	if err != nil || rest == 0 {
		return n, err
	}
	l.dropped = true
	if l.drop -= rest; l.drop < 0 {
		return n, errOutputLimit
	}
	return len(p), nil
}

// head keeps the beginning of what is written to it.
type head struct{ text []byte }

const headSize = 512 // bytes

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), headSize-len(h.text))]...)
	return len(p), nil
}

// String returns the beginning on one line.
func (h *head) String() string { return strings.Join(strings.Fields(string(h.text)), " ") }
