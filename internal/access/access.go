// Package access decides who may ask: it stands before everything that is served. It also proves to other daemons who
// asks them.
package access

import (
	"encoding/json"
	"net/http"
	"slices"
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
	tokens *tokens // nil where there are none
}

// New returns a guard. An error names a file that cannot be read or is not of its format.
func New(options Options) (*Guard, error) {
	g := &Guard{Options: options}
	if err := checkWebConfig(options.WebConfig); err != nil {
		return nil, err
	}
	if options.TokenFile != "" {
		g.tokens = &tokens{path: options.TokenFile, log: options.Log}
		if err := g.tokens.read(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Closed reports whether those who do not prove who they are are turned away.
func (g *Guard) Closed() bool {
	web, err := readWebConfig(g.WebConfig)
	demanded := []string{"RequireAndVerifyClientCert", "RequireAnyClientCert", "RequireClientCert"}
	return g.tokens != nil || err != nil || len(web.Users) > 0 || slices.Contains(demanded, web.TLSConfig.ClientAuth)
}

// open are the paths that tell only how Outpost itself is: whoever watches over it need not be let in for that.
var open = []string{"/healthz", "/readyz", "/api/health"}

// before stands before app. library is what lets those of the web configuration through to app.
func (g *Guard) before(library, app http.Handler) http.Handler {
	closed := g.limited(g.identified(library, app))
	chosen := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(open, r.URL.Path) {
			app.ServeHTTP(w, r)
			return
		}
		closed.ServeHTTP(w, r)
	})
	return g.secured(g.addressed(g.shared(chosen)))
}

// identified lets those through who have a token. A browser asks its user for a name and a password: there, the token is
// the password, of any name that is no user's.
func (g *Guard) identified(library, app http.Handler) http.Handler {
	if g.tokens == nil {
		return library
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.tokens.hold(credential(r)) {
			app.ServeHTTP(w, r)
			return
		}
		web, err := readWebConfig(g.WebConfig)
		if err != nil || len(web.Users) > 0 {
			library.ServeHTTP(w, r) // which lets nobody else through
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="outpost", charset="UTF-8"`)
		refuse(w, http.StatusUnauthorized, "a token is wanted: Authorization: Bearer TOKEN")
	})
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
