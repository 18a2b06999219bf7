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

// requireAuthorization passes on the requests that authorize allows, with the response headers of the web configuration. It handles
// sign-ins and sign-outs itself.
func (g *Guard) requireAuthorization(next http.Handler) http.Handler {
	signIns := make(chan struct{}, maxRequests)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		config, asked := g.required()
		opened, isSignedIn := g.sessions.of(r)
		given := proof{
			token:       g.hasToken(presentedToken(r)) || g.tokens != nil && g.tokens.hasHash(opened.token),
			user:        opened.hasUser(config.Users),
			certificate: hasCertificate(r),
		}
		for name, value := range config.HTTPConfig.Header {
			w.Header().Set(name, value)
		}
		if g.limiter != nil && !given.token && !g.limiter.Allow() {
			http.Error(w, "too many requests: ask less often, or see rate_limit of the web configuration", http.StatusTooManyRequests)
			return
		}
		switch outcome := authorize(given, asked); {
		case isSignedIn && r.Method == http.MethodPost && r.URL.Path == signOutPath:
			g.signOut(w, r, opened)
		case isSignIn(r) && (asked.tokens || asked.now.user):
			withSlot(signIns, g.signIn(config, asked)).ServeHTTP(w, r)
		case outcome == allow:
			if isSignedIn {
				w.Header().Set(sessionHeader, "cookie")
			}
			next.ServeHTTP(w, r)
		case outcome == checkPassword:
			g.checkPassword(config, asked, next).ServeHTTP(w, r)
		case outcome == requireToken && wantsSignIn(r):
			offerSignIn(w, r, asked)
		default:
			reject(w, r, outcome)
		}
	})
}

// required returns the web configuration, empty if it is unreadable, and what the guard's files require.
func (g *Guard) required() (*webConfig, policy) {
	config, err := g.web.current()
	if err != nil {
		config = &webConfig{}
	}
	return config, policy{atStartup: g.startup.demands, now: config.demands, unreadable: err != nil, tokens: g.tokens != nil}
}

func (g *Guard) hasToken(text string) bool { return g.tokens != nil && g.tokens.has(text) }

func hasCertificate(r *http.Request) bool { return r.TLS != nil && len(r.TLS.VerifiedChains) > 0 }

func reject(w http.ResponseWriter, r *http.Request, outcome decision) {
	switch outcome {
	case requireToken:
		setChallenge(w, r, `Basic realm="outpost", charset="UTF-8"`)
		writeError(w, http.StatusUnauthorized, "token required: send Authorization: Bearer <token>")
	case requireClientCert:
		w.Header().Set("Connection", "close")
		writeError(w, http.StatusUnauthorized, "client certificate required: connect again with a certificate")
	default:
		writeError(w, http.StatusServiceUnavailable, "requests are rejected: the web configuration is invalid, or requires less than at startup")
	}
}

// formChallenge is the challenge to browsers. They show a dialog of their own for basic authentication, and none for an unknown scheme.
const formChallenge = `Cookie realm="outpost"`

// setChallenge sets the challenge of a 401, or formChallenge for requests of the page, which has a button to sign in again.
func setChallenge(w http.ResponseWriter, r *http.Request, challenge string) {
	if r.Header.Get("X-Requested-With") != "" {
		challenge = formChallenge
	}
	w.Header().Set("WWW-Authenticate", challenge)
}

// checkPassword passes on requests with the name and password of a user of config. Other requests get the sign-in page, or 401 in
// plain text.
func (g *Guard) checkPassword(config *webConfig, asked policy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, ok := r.BasicAuth()
		if ok {
			var err error
			if ok, err = g.passwords.check(r.Context(), config.Users, name, password); err != nil {
				tooManyAtOnce(w)
				return
			}
		}
		switch {
		case ok:
			next.ServeHTTP(w, r)
		case wantsSignIn(r):
			offerSignIn(w, r, asked)
		default:
			setChallenge(w, r, "Basic")
			http.Error(w, "user name and password required: send Authorization: Basic <credentials>", http.StatusUnauthorized)
		}
	})
}

// writeError answers with the JSON form of the errors of package api.
func writeError(w http.ResponseWriter, status int, reason string) {
	body, _ := json.Marshal(map[string]string{"error": reason}) // strings can be encoded
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only if the client has gone
}
