package collect

import (
	"errors"
	"io"
	"strings"
)

var errOutputLimit = errors.New("output limit passed")

// limitWriter passes on the first keep bytes and drops so many after them, so that a command that prints more
// than is wanted can come to its end. At one byte more it fails with errOutputLimit.
type limitWriter struct {
	next       io.Writer
	keep, drop int
	dropped    bool // not all that was written was passed on
}

func (w *limitWriter) Write(p []byte) (int, error) {
	n, err := w.next.Write(p[:min(len(p), w.keep)])
	w.keep -= n
	rest := len(p) - n
	if err != nil || rest == 0 {
		return n, err
	}
	w.dropped = true
	if w.drop -= rest; w.drop < 0 {
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
