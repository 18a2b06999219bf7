// Package lines cuts a byte stream into lines as it arrives, in bounded memory.
package lines

import "bytes"

// MaxLength is the longest line, in bytes, that is handed on whole; of a longer one only the beginning is.
const MaxLength = 4096

// Writer calls Line for each line that is written to it. It must not be used by several goroutines at once.
type Writer struct {
	// Line gets a line without its newline. The bytes are valid only during the call.
	Line func(line []byte)

	tail []byte // the beginning of a line whose end has not arrived
}

// Write takes the next bytes of the stream. It never fails.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.keep(p)
			return n, nil
		}
		if len(w.tail) == 0 {
			w.Line(p[:min(end, MaxLength)])
		} else {
			w.keep(p[:end])
			w.Line(w.tail)
			w.tail = w.tail[:0]
		}
		p = p[end+1:]
	}
}

// Rest returns what came after the last newline.
func (w *Writer) Partial() []byte { return w.tail }

// Reset forgets what came after the last newline.
func (w *Writer) Reset() { w.tail = w.tail[:0] }

func (w *Writer) keep(p []byte) {
	w.tail = append(w.tail, p[:min(len(p), MaxLength-len(w.tail))]...)
}
