// Package access decides who may ask: it stands before everything that is served. It also proves to other daemons who
// asks them.
package access

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/cors"
	"github.com/rs/zerolog"
)

// Options say who may ask. Their zero values mean that everybody may, as often as they like.
type Options struct {
	// WebConfig is the path of a file in the format of github.com/prometheus/exporter-toolkit, with TLS, client certificates,
	// and users with their passwords.
	WebConfig string
	// TokenFile is the path of a file with a bearer token in each line.
	TokenFile string
	// Hosts are names that a request's Host may have; with them it is looked at on every address, and not on loopback alone.
	Hosts []string
	// Origins are those of pages of other servers that may read the answers in a browser, such as https://grafana.example.
	Origins []string
	// Rate is how many requests each client's address may make in a second.
	Rate int
	Log  zerolog.Logger
}

// Guard lets those in who may ask.
type Guard struct {
	Options
	tokens  *tokens // nil where there are none
	demands demands // of the web configuration, at the start
}

// New returns a guard. An error names a file that cannot be read or is not of its format.
func New(options Options) (*Guard, error) {
	g := &Guard{Options: options}
	if err := checkWebConfig(options.WebConfig); err != nil {
		return nil, err
	}
	config, err := readWebConfig(options.WebConfig)
	if err != nil {
		return nil, err
	}
	g.demands = demandsOf(config)
	if options.TokenFile != "" {
		g.tokens = &tokens{path: options.TokenFile, log: options.Log}
		if err := g.tokens.read(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Closed reports whether those who do not prove who they are are turned away.
func (g *Guard) Closed() bool { return g.tokens != nil || g.demands != demands{} }

// open are the paths that tell only how Outpost itself is: whoever watches over it need not be let in for that.
var open = []string{"/healthz", "/readyz", "/api/health"}

// before stands before everything. library is what lets those of the web configuration through, and inner what is behind it;
// app is what is served without more ado.
func (g *Guard) before(library, inner, app http.Handler) http.Handler {
	closed := g.limited(g.certified(g.identified(atMost(guessesAtOnce, library), inner)))
	health := make(map[string]http.Handler) // each by itself: one that waits for the engine keeps no other waiting
	for _, path := range open {
		health[path] = atMost(healthAtOnce, app)
	}
	chosen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := health[r.URL.Path]; ok {
			h.ServeHTTP(w, r)
			return
		}
		closed.ServeHTTP(w, r)
	})
	return g.secured(g.addressed(g.shared(chosen)))
}

// identified lets those through who have a token. A browser asks its user for a name and a password: there, the token is
// the password, of any name that is no user's.
func (g *Guard) identified(library, inner http.Handler) http.Handler {
	if g.tokens == nil {
		return g.confirmed(library)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.tokens.hold(credential(r)) {
			inner.ServeHTTP(w, r)
			return
		}
		switch config, err := readWebConfig(g.WebConfig); {
		case err != nil:
			refuseAll(w)
		case !demandsOf(config).users:
			w.Header().Set("WWW-Authenticate", `Basic realm="outpost", charset="UTF-8"`)
			refuse(w, http.StatusUnauthorized, "a token is wanted: Authorization: Bearer TOKEN")
		default:
			library.ServeHTTP(w, r)
		}
	})
}

// certified turns those away who did not have to show a certificate when they connected, and now have to; and everybody
// while no certificate is demanded any more.
func (g *Guard) certified(next http.Handler) http.Handler {
	if g.WebConfig == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config, err := readWebConfig(g.WebConfig)
		switch demanded := err == nil && demandsOf(config).certificate; {
		case g.demands.certificate && !demanded:
			refuseAll(w)
		case demanded && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0):
			w.Header().Set("Connection", "close")
			refuse(w, http.StatusUnauthorized, "a certificate is wanted: connect again with it")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// confirmed turns everybody away while the web configuration, which is read again and again, demands less than it did at the
// start, as while it is written anew: the library would let everybody through. It stands before the library and behind it.
func (g *Guard) confirmed(next http.Handler) http.Handler {
	if !g.Closed() || g.WebConfig == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config, err := readWebConfig(g.WebConfig)
		if now := demandsOf(config); err != nil || now.lessThan(g.demands) || g.tokens != nil && !now.users {
			refuseAll(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// known turns those away whom the library has let through although they are no users: it may have read its file while that
// was written.
func (g *Guard) known(next http.Handler) http.Handler {
	if !g.demands.users {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config, err := readWebConfig(g.WebConfig)
		name, _, _ := r.BasicAuth()
		if _, isUser := config.Users[name]; err != nil || !isUser {
			refuseAll(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuseAll(w http.ResponseWriter) {
	refuse(w, http.StatusServiceUnavailable, "the web configuration is not as it was at the start: nobody is let in")
}

// credential returns a request's token, or what may be one.
func credential(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}

// Local guards what is served on loopback alone: no page of anybody's reads it by another name (see addressed).
func Local(next http.Handler) http.Handler {
	g := &Guard{}
	return g.secured(g.addressed(next))
}

// secured says to browsers what they may do with an answer: nothing but show it, as what it is, to those who asked for it.
func (g *Guard) secured(next http.Handler) http.Handler {
	headers := map[string]string{
		"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'", // the page has its own
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "no-referrer",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// shared lets pages of other servers read the answers, if there are any that may.
func (g *Guard) shared(next http.Handler) http.Handler {
	if len(g.Origins) == 0 {
		return next
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: g.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead},
		AllowedHeaders: []string{"Authorization", "If-None-Match"},
		ExposedHeaders: []string{"ETag", "Outpost-Incomplete"},
		MaxAge:         int(time.Hour.Seconds()),
	})(next)
}

// refuse answers in the form of all other errors.
func refuse(w http.ResponseWriter, status int, reason string) {
	body, _ := json.Marshal(map[string]string{"error": reason}) // strings can be encoded
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away wants none
}
