package access_test

import (
	"testing"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
)

func TestServerErrorsAreLoggedByImportance(t *testing.T) {
	var written log
	server := access.ErrorLog(zerolog.New(&written).Level(zerolog.InfoLevel))
	server.Print("http: TLS handshake error from 192.0.2.1:1: EOF")
	for range 10 {
		server.Print("http: Accept error: accept4: too many open files; retrying in 5ms")
	}
	server.Print("http: panic serving 192.0.2.1:1: oops\ngoroutine 1 [running]:")
	for part, want := range map[string]int{"handshake": 0, `"level":"warn"`: 1, `"level":"error"`: 1, "oops": 1} {
		if n := written.count(part); n != want {
			t.Errorf("%s: %d times, want %d", part, n, want)
		}
	}
}
