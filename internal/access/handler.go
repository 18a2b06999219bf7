package access

import (
	"encoding/json"
	"net/http"
)

// openPaths show nothing of containers, so that monitoring needs no credentials.
var openPaths = []string{"/healthz", "/readyz", "/api/health"}

// handler returns app behind all checks of the guard.
func (g *Guard) handler(app http.Handler) http.Handler {
	protected := g.rateLimit(g.requireAuthorization(limitConcurrency(maxRequests, app)))
	open := make(map[string]http.Handler) // one limit each: /readyz waits for the engine and must not block /healthz
	for _, path := range openPaths {
		open[path] = limitConcurrency(maxHealthRequests, app)
	}
	routes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := open[r.URL.Path]; ok {
			h.ServeHTTP(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	})
	return withSecurityHeaders(g.checkHost(g.withCORS(g.stripBasePath(routes))))
}

// requireAuthorization passes on the requests that authorize allows, with the response headers of the web configuration.
func (g *Guard) requireAuthorization(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config, err := g.web.current()
		if err != nil {
			config = &webConfig{}
		}
		given := proof{
			token:       g.tokens != nil && g.tokens.has(presentedToken(r)),
			certificate: r.TLS != nil && len(r.TLS.VerifiedChains) > 0,
		}
		for name, value := range config.HTTPConfig.Header {
			w.Header().Set(name, value)
		}
		if g.limiter != nil && !given.token && !g.limiter.Allow() {
			http.Error(w, "too many requests: ask less often, or see rate_limit of the web configuration", http.StatusTooManyRequests)
			return
		}
		asked := policy{atStartup: g.startup.demands, now: config.demands, unreadable: err != nil, tokens: g.tokens != nil}
		switch outcome := authorize(given, asked); outcome {
		case allow:
			next.ServeHTTP(w, r)
		case checkPassword:
			g.checkPassword(config, next).ServeHTTP(w, r)
		default:
			reject(w, outcome)
		}
	})
}

func reject(w http.ResponseWriter, outcome decision) {
	switch outcome {
	case requireToken:
		w.Header().Set("WWW-Authenticate", `Basic realm="outpost", charset="UTF-8"`)
		writeError(w, http.StatusUnauthorized, "token required: send Authorization: Bearer <token>")
	case requireClientCert:
		w.Header().Set("Connection", "close")
		writeError(w, http.StatusUnauthorized, "client certificate required: connect again with a certificate")
	default:
		writeError(w, http.StatusServiceUnavailable, "requests are rejected: the web configuration is invalid, or requires less than at startup")
	}
}

// checkPassword passes on requests with the name and password of a user of config. Other requests get 401 in plain
// text.
func (g *Guard) checkPassword(config *webConfig, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, ok := r.BasicAuth()
		if ok {
			var err error
			if ok, err = g.passwords.check(r.Context(), config.Users, name, password); err != nil {
				tooManyAtOnce(w)
				return
			}
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "user name and password required: send Authorization: Basic <credentials>", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// writeError answers with the JSON form of the errors of package api.
func writeError(w http.ResponseWriter, status int, reason string) {
	body, _ := json.Marshal(map[string]string{"error": reason}) // strings can be encoded
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only if the client has gone
}
