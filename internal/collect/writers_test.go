package collect

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestLimitWriter(t *testing.T) {
	var kept, other bytes.Buffer
	l := &limit{keep: 7, drop: 4}
	if n, err := l.on(&other).Write([]byte("ab")); n != 2 || err != nil || other.String() != "ab" {
		t.Fatalf("the other stream: %d, %v, %q", n, err, other.String())
	}
	w := l.on(&kept)
	for _, chunk := range []string{"abc", "defg", "hi"} {
		if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if kept.String() != "abcde" || !l.dropped {
		t.Errorf("kept %q, dropped %v", kept.String(), l.dropped)
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
