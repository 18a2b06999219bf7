// Package access decides which requests Outpost answers. Every request passes a Guard.
//
// The decision itself is the pure function authorize. The package also holds the credentials that a mapper and the
// commands send to daemons.
package access

import (
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// Options configure a Guard. The zero value accepts all requests.
type Options struct {
	// WebConfig is the path of a file in the format of github.com/prometheus/exporter-toolkit, with TLS, client
	// certificates, users and their passwords.
	WebConfig string
	// TokenFile is the path of a file with a bearer token in each line.
	TokenFile string
	// Hosts are names that a request's Host may have. If there are any, the Host is checked on every address, and not
	// only on loopback.
	Hosts []string
	// BasePath is a path below which requests are answered as without it, such as /outpost. Other paths are answered too.
	BasePath string
	// Origins are the origins of other servers' pages that may read the answers in a browser, such as
	// https://grafana.example.
	Origins []string
	// Rate is how many requests a second each client's address may make; 0 means no limit.
	Rate int
	Log  zerolog.Logger
}

// Guard serves only the requests that are authorized. The files of its options are read again when they change.
type Guard struct {
	Options
	web       *webConfigFile
	tokens    *tokenFile // nil without a token file
	startup   *webConfig
	limiter   *rate.Limiter // of the web configuration at startup; nil without a limit
	passwords *passwordChecker
	sessions  *sessions
}

// New returns a guard. An error names the file that cannot be read or has the wrong format.
func New(options Options) (*Guard, error) {
	g := &Guard{
		Options:   options,
		web:       &webConfigFile{path: options.WebConfig, log: options.Log},
		passwords: newPasswordChecker(),
		sessions:  newSessions(),
	}
	var err error
	if g.startup, err = g.web.current(); err != nil {
		return nil, err
	}
	if limit := g.startup.RateLimiterConfig; limit.Interval != 0 {
		g.limiter = rate.NewLimiter(rate.Every(limit.Interval), limit.Burst)
	}
	if options.TokenFile != "" {
		g.tokens = &tokenFile{path: options.TokenFile, log: options.Log}
		if err := g.tokens.read(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// IsProtected reports whether requests without credentials are rejected.
func (g *Guard) IsProtected() bool { return g.tokens != nil || g.startup.demands != demands{} }
