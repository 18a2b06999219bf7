// Package textfile reads the text files that people write, with or without a byte order mark.
package textfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// mark is the byte order mark that some editors, such as those of Windows, put in front of UTF-8.
var mark = []byte("\xef\xbb\xbf")

// utf16Marks are the byte order marks of UTF-16.
var utf16Marks = [][]byte{{0xff, 0xfe}, {0xfe, 0xff}}

// HasMark reports whether text begins with the byte order mark of UTF-8.
func HasMark(text []byte) bool { return bytes.HasPrefix(text, mark) }

// Read returns the content of a file in UTF-8 without its byte order mark. A file in UTF-16, or with more than limit bytes, is an
// error. Errors name the file and do not quote its content.
func Read(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s: the file exceeds %d KiB", path, limit>>10)
	}
	for _, m := range utf16Marks {
		if bytes.HasPrefix(text, m) {
			return nil, fmt.Errorf("%s: the file is in UTF-16: save it in UTF-8", path)
		}
	}
	return bytes.TrimPrefix(text, mark), nil
}
