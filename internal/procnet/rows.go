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

// eachRow calls decode for each line of r, without its newline; the bytes are valid only during the call. It
// goes on behind a row that decode refuses, and reports the first of them as a *RowError. It ends early, and
// reports that too, at a failed read, at a line longer than lines.MaxLength, behind most lines, at a last line
// without its newline, and when decode returns errTooMany.
func eachRow(r io.Reader, most int, decode func(row []byte) error) error {
	in := readers.Get().(*bufio.Reader) //nolint:errcheck // it holds nothing else
	in.Reset(r)
	defer func() {
		in.Reset(nil)
		readers.Put(in)
	}()
	var bad malformed
	for line := 1; ; line++ {
		row, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(row) == 0:
			return bad.err()
		case errors.Is(err, io.EOF):
			return errors.Join(bad.err(), rowError(line, row, errCutShort))
		case errors.Is(err, bufio.ErrBufferFull):
			return errors.Join(bad.err(), rowError(line, row, errLongLine))
		case err != nil:
			return errors.Join(bad.err(), fmt.Errorf("read line %d: %w", line, err))
		}
		row = row[:len(row)-1]
		if line > most {
			return errors.Join(bad.err(), rowError(line, row, errTooManyRows))
		}
		err = decode(row)
		if errors.Is(err, errTooMany) {
			return errors.Join(bad.err(), rowError(line, row, err))
		}
		if err != nil {
			bad.add(line, row, err)
		}
	}
}

// malformed counts the rows that could not be decoded and keeps the first one's error.
type malformed struct {
	rows  int
	first error
}

func (m *malformed) add(line int, row []byte, err error) {
	m.rows++
	if m.first == nil {
		m.first = rowError(line, row, err)
	}
}

func (m *malformed) err() error {
	if m.rows < 2 {
		return m.first
	}
	return fmt.Errorf("%d malformed lines, the first: %w", m.rows, m.first)
}

func rowError(line int, row []byte, err error) error {
	const quoted = 120
	return &RowError{Line: line, Text: string(row[:min(len(row), quoted)]), Err: err}
}

// splitFields splits a row at blanks and tabs. bytes.Fields would also split at Unicode's spaces, which an
// interface's name may hold.
func splitFields(row []byte) [][]byte {
	return bytes.FieldsFunc(row, func(r rune) bool { return r == ' ' || r == '\t' })
}

// parseHexField decodes a field that is nothing but up to eight hexadecimal digits.
func parseHexField(field []byte) (uint32, bool) {
	value, end := parseHex(field, 0, 8)
	return value, end > 0 && end == len(field)
}
