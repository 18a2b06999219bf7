package access

import (
	"net"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
	"golang.org/x/sys/unix"
)

const (
	// maxRequests bounds the protected requests in flight.
	maxRequests = 256
	// maxHealthRequests bounds the requests in flight to each open path.
	maxHealthRequests = 16
	// maxConnections bounds the clients' connections.
	maxConnections = 512
)

// connectionLimit returns the maximum number of connections: at most a quarter of the process's file descriptors. The
// rest is for reading what clients ask about.
func connectionLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 4*maxConnections {
		return maxConnections
	}
	return max(1, int(limit.Cur/4))
}

// limitConcurrency rejects requests while n are in flight.
func limitConcurrency(n int, next http.Handler) http.Handler {
	return withSlot(make(chan struct{}, n), next)
}

// withSlot rejects requests while slots is full.
func withSlot(slots chan struct{}, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next.ServeHTTP(w, r)
		default:
			tooManyAtOnce(w)
		}
	})
}

func tooManyAtOnce(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	writeError(w, http.StatusServiceUnavailable, "too many requests at once")
}

// rateLimit rejects the requests of a client that exceed Rate.
func (g *Guard) rateLimit(next http.Handler) http.Handler {
	if g.Rate == 0 {
		return next
	}
	return httprate.LimitBy(g.Rate, time.Second, rateKey,
		httprate.WithResponseHeaders(httprate.ResponseHeaders{RetryAfter: "Retry-After"}),
		httprate.WithLimitHandler(func(w http.ResponseWriter, _ *http.Request) {
			writeError(w, http.StatusTooManyRequests, "too many requests: ask less often, or see OUTPOST_RATE_LIMIT")
		}),
	)(next)
}

// rateKey returns the client's IPv4 address or IPv6 network. Headers are ignored, because clients can forge them.
func rateKey(r *http.Request) (string, error) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(host), err
}
