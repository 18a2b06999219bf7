package main

import (
	"crypto/tls"
	"net"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/config"
)

func newGuard(c config.Config, log zerolog.Logger) (*access.Guard, error) {
	guard, err := access.New(access.Options{
		WebConfig: c.WebConfig, TokenFile: c.TokenFile,
		Hosts: c.Hosts, BasePath: c.BasePath, Origins: c.CORSOrigins, Rate: c.RateLimit, Log: log,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return guard, nil
}

// warnIfOpen warns if everybody who reaches the address may ask.
func warnIfOpen(guard *access.Guard, listening net.Addr, log zerolog.Logger) {
	tcp, ok := listening.(*net.TCPAddr)
	if guard.IsProtected() || ok && tcp.IP.IsLoopback() {
		return
	}
	log.Warn().Stringer("address", listening).Msg("Everybody who reaches this address can read who talks to whom here: " +
		"set OUTPOST_TOKEN_FILE or OUTPOST_WEB_CONFIG, or restrict the address (OUTPOST_LISTEN=127.0.0.1:9057, docker run -p 127.0.0.1:9057:9057)")
}

// newTransport returns a transport that sends the credentials for daemons, with the token of tokenFile.
func newTransport(c config.Config, tokenFile string, base func(*tls.Config) http.RoundTripper) (http.RoundTripper, error) {
	transport, err := access.Credentials{
		Token: tokenFile, CA: c.TargetCA, Certificate: c.TargetCert, Key: c.TargetKey,
	}.Transport(base)
	if err != nil {
		return nil, usageError{err}
	}
	return transport, nil
}
