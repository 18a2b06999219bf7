package access

import (
	"net"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
	"golang.org/x/sys/unix"
)

const (
	// requestsAtOnce bounds how many requests are answered at the same time, guessesAtOnce how many passwords are tried, which
	// takes long, healthAtOnce how many of those who need not prove who they are, and mostConnections how many clients hold a
	// connection.
	requestsAtOnce  = 256
	guessesAtOnce   = 256
	healthAtOnce    = 16
	mostConnections = 512
)

// connectionsAtOnce is how many clients may hold a connection: a quarter of the descriptors that there are is theirs at the
// most, the rest is for what they ask about.
func connectionsAtOnce() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 4*mostConnections {
		return mostConnections
	}
	return max(1, int(limit.Cur/4))
}

// atMost answers no more than so many requests at once.
func atMost(n int, next http.Handler) http.Handler {
	slots := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusServiceUnavailable, "too many requests at once")
		}
	})
}

// limited answers no more of one client than its rate.
func (g *Guard) limited(next http.Handler) http.Handler {
	if g.Rate == 0 {
		return next
	}
	return httprate.LimitBy(g.Rate, time.Second, clientOf,
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}),
		httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusTooManyRequests, "too many requests: ask less often, or see OUTPOST_RATE_LIMIT")
		}),
	)(next)
}

// clientOf returns a client's address, of IPv6 the network. What a header says of it is not believed.
func clientOf(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}
