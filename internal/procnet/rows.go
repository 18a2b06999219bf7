package procnet

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/PabloL007/outpost/internal/lines"
)

var (
	errLongLine    = fmt.Errorf("line is longer than %d bytes", lines.MaxLength)
	errTooManyRows = errors.New("too many lines")
	errTooMany     = errors.New("too many addresses or routes")
)

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, lines.MaxLength+1) }}

// eachRow calls decode for each line of r, without its newline. The bytes are valid only during the call. A row that
// decode rejects does not stop it; it reports the first of them as a *lines.RowError. It stops early, and reports why, at
//
//   - a failed read
//   - a line longer than lines.MaxLength
//   - line maxRows+1
//   - a last line without its newline
//   - errTooMany from decode
func eachRow(r io.Reader, maxRows int, decode func(row []byte) error) error {
	in := readers.Get().(*bufio.Reader) //nolint:errcheck // the pool holds no other type
	in.Reset(r)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	var bad malformedRows
	for line := 1; ; line++ {
		row, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(row) == 0:
			return bad.err()
		case errors.Is(err, io.EOF):
			return errors.Join(bad.err(), newRowError(line, row, errCutShort))
		case errors.Is(err, bufio.ErrBufferFull):
			return errors.Join(bad.err(), newRowError(line, row, errLongLine))
		case err != nil:
			return errors.Join(bad.err(), fmt.Errorf("read line %d: %w", line, err))
		}
		row = row[:len(row)-1]
		if line > maxRows {
			return errors.Join(bad.err(), newRowError(line, row, errTooManyRows))
		}
		err = decode(row)
		if errors.Is(err, errTooMany) {
			return errors.Join(bad.err(), newRowError(line, row, err))
		}
		if err != nil {
			bad.add(line, row, err)
		}
	}
}

// malformedRows counts the rows that could not be decoded and keeps the error of the first one.
type malformedRows struct {
	count int
	first error
}

func (m *malformedRows) add(line int, row []byte, err error) {
	m.count++
	if m.first == nil {
		m.first = newRowError(line, row, err)
	}
}

func (m *malformedRows) err() error {
	if m.count < 2 {
		return m.first
	}
	return fmt.Errorf("%d malformed lines, the first: %w", m.count, m.first)
}

// maxQuoted is how many bytes of a malformed row an error quotes.
const maxQuoted = 120

func newRowError(line int, row []byte, err error) *lines.RowError {
	return &lines.RowError{Line: line, Text: string(row[:min(len(row), maxQuoted)]), Err: err}
}

// splitFields splits a row at blanks and tabs. bytes.Fields would also split at Unicode's spaces, which an
// interface's name may contain.
func splitFields(row []byte) [][]byte {
	return bytes.FieldsFunc(row, func(r rune) bool { return r == ' ' || r == '\t' })
}

// parseHexField parses a field of one to eight hexadecimal digits.
func parseHexField(field []byte) (uint32, bool) {
	value, end := parseHex(field, 0, 8)
	return value, end > 0 && end == len(field)
}
