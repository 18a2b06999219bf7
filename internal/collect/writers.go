package collect

import (
	"errors"
	"io"
	"strings"
)

var errOutputLimit = errors.New("output limit passed")

// limitWriter passes on so many bytes and fails with errOutputLimit at the first one more.
type limitWriter struct {
	next io.Writer
	left int
}

func (w *limitWriter) Write(p []byte) (int, error) {
	n, err := w.next.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err == nil && n < len(p) {
		err = errOutputLimit
	}
	return n, err
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
