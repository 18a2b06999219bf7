package access

import (
	"net/http"
	"time"

	"github.com/go-chi/cors"
)

// securityHeaders restrict what a browser may do with an answer. The page replaces Content-Security-Policy.
var securityHeaders = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

func withSecurityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// withCORS allows the pages of Origins to read the answers.
func (g *Guard) withCORS(next http.Handler) http.Handler {
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

// Local returns next with the checks for a server on loopback: pages of other servers cannot read it (see checkHost).
func Local(next http.Handler) http.Handler {
	return withSecurityHeaders((&Guard{}).checkHost(next))
}
