package lines

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func split(chunks ...string) (got []string, rest string) {
	w := Writer{Line: func(line []byte) { got = append(got, string(line)) }}
	for _, chunk := range chunks {
		_, _ = w.Write([]byte(chunk))
	}
	return got, string(w.Partial())
}

func TestWriterSplitsLines(t *testing.T) {
	long := strings.Repeat("x", MaxLength)
	tests := []struct {
		name   string
		chunks []string
		want   []string
		rest   string
	}{
		{name: "nothing"},
		{name: "whole lines", chunks: []string{"a\nb\n"}, want: []string{"a", "b"}},
		{name: "a line over chunks", chunks: []string{"a", "b", "c\nd"}, want: []string{"abc"}, rest: "d"},
		{name: "empty lines", chunks: []string{"\n\n"}, want: []string{"", ""}},
		{name: "long line at once", chunks: []string{long + "y\nz\n"}, want: []string{long, "z"}},
		{name: "long line over chunks", chunks: []string{long, long, "y\nz\n"}, want: []string{long, "z"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, rest := split(test.chunks...)
			if diff := cmp.Diff(test.want, got); diff != "" || rest != test.rest {
				t.Errorf("rest %q, want %q; lines (-want +got):\n%s", rest, test.rest, diff)
			}
		})
	}
}

func TestResetDropsPartialLine(t *testing.T) {
	var got []string
	w := Writer{Line: func(line []byte) { got = append(got, string(line)) }}
	_, _ = w.Write([]byte("gone"))
	w.Reset()
	_, _ = w.Write([]byte("kept\n"))
	if diff := cmp.Diff([]string{"kept"}, got); diff != "" {
		t.Error(diff)
	}
}
