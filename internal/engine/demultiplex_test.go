package engine

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/docker/docker/pkg/stdcopy"
)

// Output of the engine's own writer reaches the right stream, for any size of reads.
func TestDemultiplexReadsMobyWriter(t *testing.T) {
	var wireEvents bytes.Buffer
	out, errs := stdcopy.NewStdWriter(&wireEvents, stdcopy.Stdout), stdcopy.NewStdWriter(&wireEvents, stdcopy.Stderr)
	long := strings.Repeat("0123456789abcdef", 5000)
	for _, text := range []string{"a", long, "", "z"} {
		if _, err := out.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := errs.Write([]byte(strings.ToUpper(text))); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if err := demultiplex(bufio.NewReader(iotest.OneByteReader(&wireEvents)), &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "a"+long+"z" || stderr.String() != strings.ToUpper("a"+long+"z") {
		t.Errorf("%d bytes of output, %d of errors", stdout.Len(), stderr.Len())
	}
}

func FuzzDemultiplex(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x03one\x02\x00\x00\x00\x00\x00\x00\x03two"))
	f.Add([]byte("\x01\x00\x00\x00\xff\xff\xff\xffcut"))
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x00\x04oops"))
	f.Fuzz(func(t *testing.T, wireEvents []byte) {
		var stdout, stderr, want, wantErrors bytes.Buffer
		err := demultiplex(bufio.NewReader(bytes.NewReader(wireEvents)), &stdout, &stderr)
		if stdout.Len()+stderr.Len() > len(wireEvents) {
			t.Errorf("%d bytes from %d", stdout.Len()+stderr.Len(), len(wireEvents))
		}
		if err != nil {
			return
		}
		if _, err := stdcopy.StdCopy(&want, &wantErrors, bytes.NewReader(wireEvents)); err != nil {
			t.Errorf("stdcopy finds an error: %v", err)
		}
		if !bytes.Equal(stdout.Bytes(), want.Bytes()) || !bytes.Equal(stderr.Bytes(), wantErrors.Bytes()) {
			t.Errorf("%q, %q; stdcopy has %q, %q", stdout.Bytes(), stderr.Bytes(), want.Bytes(), wantErrors.Bytes())
		}
	})
}
