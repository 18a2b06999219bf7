package callpool

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestOutputIsTruncatedThenLimited(t *testing.T) {
	var kept, other bytes.Buffer
	o := NewOutput(7, 4)
	if n, err := o.To(&other).Write([]byte("ab")); n != 2 || err != nil || other.String() != "ab" {
		t.Fatalf("the other stream: %d, %v, %q", n, err, other.String())
	}
	w := o.To(&kept)
	for _, chunk := range []string{"abc", "defg", "hi"} {
		if n, err := w.Write([]byte(chunk)); n != len(chunk) || err != nil {
			t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
		}
	}
	if kept.String() != "abcde" || !o.Truncated() {
		t.Errorf("kept %q, truncated %v", kept.String(), o.Truncated())
	}
	if _, err := w.Write([]byte("j")); !errors.Is(err, ErrOutputLimit) {
		t.Errorf("error %v, want ErrOutputLimit", err)
	}
}

func TestPrefixKeepsTheBeginningOnOneLine(t *testing.T) {
	var b Prefix
	for range 3 {
		_, _ = b.Write([]byte(" some\n\ttext " + strings.Repeat("x", maxPrefix)))
	}
	if !strings.HasPrefix(b.String(), "some text xxx") || len(b.text) != maxPrefix {
		t.Errorf("%d bytes: %.20q", len(b.text), b.String())
	}
}
