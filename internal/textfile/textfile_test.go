package textfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	const limit = 1024
	long := strings.Repeat("x", limit)
	for name, test := range map[string]struct {
		content, want, fails string
	}{
		"empty":                        {"", "", ""},
		"without a mark":               {"a\nb\n", "a\nb\n", ""},
		"with a mark":                  {"\xef\xbb\xbfa\nb\n", "a\nb\n", ""},
		"the mark alone":               {"\xef\xbb\xbf", "", ""},
		"half a mark":                  {"\xef\xbb", "\xef\xbb", ""},
		"only the first mark":          {"\xef\xbb\xbfa\n\xef\xbb\xbfb", "a\n\xef\xbb\xbfb", ""},
		"UTF-16, little endian":        {"\xff\xfea\x00", "", "the file is in UTF-16: save it in UTF-8"},
		"UTF-16, big endian":           {"\xfe\xff\x00a", "", "the file is in UTF-16: save it in UTF-8"},
		"as long as the limit":         {long, long, ""},
		"longer than the limit":        {long + "x", "", "the file exceeds 1 KiB"},
		"longer, with a mark in front": {"\xef\xbb\xbf" + long, "", "the file exceeds 1 KiB"},
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, limit)
		if want := path + ": " + test.fails; test.fails != "" {
			if err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", name, err, want)
			}
			continue
		}
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestErrorsOfTheSystemNameTheFile(t *testing.T) {
	directory := t.TempDir()
	none := filepath.Join(directory, "none")
	if _, err := Read(none, 1024); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), none) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Read(directory, 1024); err == nil || !strings.Contains(err.Error(), directory) {
		t.Errorf("a directory: %v", err)
	}
}
