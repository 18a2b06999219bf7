package collect

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestLimitWriter(t *testing.T) {
	var kept bytes.Buffer
	w := &limitWriter{next: &kept, keep: 5, drop: 4}
	for _, chunk := range []string{"abc", "defg", "hi"} {
		if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if kept.String() != "abcde" || !w.dropped {
		t.Errorf("kept %q, dropped %v", kept.String(), w.dropped)
	}
	if _, err := w.Write([]byte("j")); !errors.Is(err, errOutputLimit) {
		t.Errorf("error %v, want errOutputLimit", err)
	}
}

func TestHead(t *testing.T) {
	var h head
	for range 3 {
		_, _ = h.Write([]byte(" some\n\ttext " + strings.Repeat("x", headSize)))
	}
	if !strings.HasPrefix(h.String(), "some text xxx") || len(h.text) != headSize {
		t.Errorf("%d bytes: %.20q", len(h.text), h.String())
	}
}
