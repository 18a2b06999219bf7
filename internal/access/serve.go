package access

import (
	"crypto/tls"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
)

// Serve serves the authorized requests until the server is shut down. Whether it uses TLS, and HTTP/2 over it, depends
// on the web configuration at startup; the rest of the TLS settings is read again for each connection.
func (g *Guard) Serve(listener net.Listener, server *http.Server) error {
	server.Handler = g.handler(server.Handler)
	server.ErrorLog = ErrorLog(g.Log)
	listener = netutil.LimitListener(listener, connectionLimit())
	if !g.startup.TLSConfig.IsEnabled() {
		return server.Serve(listener)
	}
	var err error
	if server.TLSConfig, err = g.startup.newTLSConfig(); err != nil {
		return err
	}
	if !g.startup.HTTPConfig.HTTP2 {
		server.TLSNextProto = make(map[string]func(*http.Server, *tls.Conn, http.Handler)) // net/http's way to disable it
	}
	server.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := g.web.current()
		if err != nil {
			return nil, err
		}
		tlsConfig, err := now.newTLSConfig()
		if err != nil {
			return nil, err
		}
		tlsConfig.NextProtos = nextProtocols(server)
		return tlsConfig, nil
	}
	return server.ServeTLS(listener, "", "")
}

// newTLSConfig reads the certificates that the configuration names.
func (c *webConfig) newTLSConfig() (*tls.Config, error) {
	settings := c.TLSConfig // ConfigToTLSConfig keeps the pointer
	return web.ConfigToTLSConfig(&settings)
}

// nextProtocols returns the ALPN protocols of a serving server. ServeTLS adds them only to its own copy of the TLS
// configuration, which GetConfigForClient replaces. It registers h2 unless HTTP/2 is disabled.
func nextProtocols(server *http.Server) []string {
	if server.TLSNextProto["h2"] == nil {
		return []string{"http/1.1"}
	}
	return []string{"h2", "http/1.1"}
}

// ErrorLog returns a log for http.Server. Failures of clients, such as unfinished handshakes, have level debug. Failures
// to accept a connection are logged at most once a minute.
func ErrorLog(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(serverLog{log, log.Sample(&zerolog.BurstSampler{Burst: 1, Period: time.Minute})}, "", 0)
}

type serverLog struct{ log, oncePerMinute zerolog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	switch { // the prefixes are those of net/http
	case strings.HasPrefix(text, "http: panic"):
		l.log.Error().Str("reason", text).Msg("A request failed")
	case strings.HasPrefix(text, "http: Accept error"):
		l.oncePerMinute.Warn().Str("reason", text).Msg("Cannot accept connections; trying again")
	default:
		l.log.Debug().Str("reason", text).Msg("A client failed")
	}
	return len(line), nil
}
