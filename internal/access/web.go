package access

import (
	"fmt"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v2"
	"golang.org/x/net/netutil"
)

// checkWebConfig returns what is wrong with a web configuration and the files that it names.
func checkWebConfig(path string) error {
	if err := web.Validate(path); err != nil {
		return fmt.Errorf("web configuration %s: %w", path, err)
	}
	return nil
}

// readWebConfig reads a web configuration, which the library reads for itself again and shows nobody; an empty one if there
// is no path.
func readWebConfig(path string) (config web.Config, err error) {
	if path == "" {
		return config, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // whoever starts the program says which
	if err != nil {
		return config, err
	}
	return config, yaml.UnmarshalStrict(text, &config)
}

// demands are what clients have to prove by a web configuration: that they are one of its users, and that somebody vouches
// for them, by a certificate.
type demands struct{ users, certificate bool }

// demandsOf returns what a web configuration demands. A certificate that nobody vouches for proves nothing.
func demandsOf(config web.Config) demands {
	vouched := config.TLSConfig.ClientCAs != "" || config.TLSConfig.ClientCAsText != ""
	return demands{users: len(config.Users) > 0, certificate: vouched && config.TLSConfig.ClientAuth == "RequireAndVerifyClientCert"}
}

func (d demands) lessThan(others demands) bool {
	return others.users && !d.users || others.certificate && !d.certificate
}

// Scheme returns "https" if a web configuration has a certificate, and "http" else.
func Scheme(path string) (string, error) {
	config, err := readWebConfig(path)
	if err != nil {
		return "", fmt.Errorf("web configuration: %w", err)
	}
	if config.TLSConfig.IsEnabled() {
		return "https", nil
	}
	return "http", nil
}

// Serve serves what server does to those who may ask, until the server is shut down.
func (g *Guard) Serve(listener net.Listener, server *http.Server) error {
	app := server.Handler
	capped := atMost(requestsAtOnce, app)
	listener = netutil.LimitListener(listener, connectionsAtOnce())
	server.ErrorLog = ErrorLog(g.Log)
	if g.WebConfig == "" {
		server.Handler = g.before(capped, capped, app)
		return server.Serve(listener)
	}
	// The library wraps the handler when it is about to serve, and lets no path be open.
	server.Handler = g.confirmed(g.known(capped))
	wrapped := &firstAccept{Listener: listener, before: func() { server.Handler = g.before(server.Handler, capped, app) }}
	// It says the same at each request while its file cannot be read.
	seldom := g.Log.Level(max(zerolog.ErrorLevel, g.Log.GetLevel())).Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Hour})
	return web.Serve(wrapped, server, &web.FlagConfig{WebConfigFile: &g.WebConfig}, slog.New(zerolog.NewSlogHandler(seldom)))
}

// firstAccept does something before the first connection is accepted.
type firstAccept struct {
	net.Listener
	once   sync.Once
	before func()
}

func (l *firstAccept) Accept() (net.Conn, error) {
	l.once.Do(l.before)
	return l.Listener.Accept()
}

// ErrorLog returns what takes a server's own words into a log: of clients' failures, such as handshakes that nobody finished,
// those who look closely alone want to know; what fails here is for everybody, the same no more than once a minute.
func ErrorLog(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(serverLog{log, log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute})}, "", 0)
}

type serverLog struct{ log, seldom zerolog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch { // by the words of net/http
	case strings.HasPrefix(text, "http: panic"):
		l.log.Error().Str("reason", text).Msg("A request failed")
	case strings.HasPrefix(text, "http: Accept error"):
		l.seldom.Warn().Str("reason", text).Msg("No connection can be accepted; trying again")
	default:
		l.log.Debug().Str("reason", text).Msg("A client failed")
	}
	return len(line), nil
}
