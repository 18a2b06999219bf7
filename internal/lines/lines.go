// Package lines splits a byte stream into lines as it arrives, with bounded memory.
package lines

import "bytes"

// MaxLength bounds how many bytes of a line Writer passes on. It truncates longer lines.
const MaxLength = 4096

// Writer calls Line for each line that is written to it. It must not be used concurrently.
type Writer struct {
	// Line receives a line without its newline. The bytes are valid only during the call.
	Line func(line []byte)

	tail []byte // the beginning of a line without its newline
}

// Write splits the next bytes of the stream. It never fails.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.appendTail(p)
			return n, nil
		}
		if len(w.tail) == 0 {
			w.Line(p[:min(end, MaxLength)])
		} else {
			w.appendTail(p[:end])
			w.Line(w.tail)
			w.tail = w.tail[:0]
		}
		p = p[end+1:]
	}
}

// Partial returns the bytes after the last newline.
func (w *Writer) Partial() []byte { return w.tail }

// Reset discards the bytes after the last newline.
func (w *Writer) Reset() { w.tail = w.tail[:0] }

func (w *Writer) appendTail(p []byte) {
	w.tail = append(w.tail, p[:min(len(p), MaxLength-len(w.tail))]...)
}
