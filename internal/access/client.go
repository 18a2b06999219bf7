package access

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/prometheus/common/config"
)

// Credentials are what daemons are shown, and by what they are known. All are paths of files, which are read again when they
// have changed; each may be empty.
type Credentials struct {
	// Token is of a file that holds a bearer token. It is not shown where the address names a user.
	Token string
	// CA is of a file with the certificates that daemons' are signed by; else the machine's count.
	CA string
	// Certificate and Key are those of the one who asks.
	Certificate, Key string
}

// Transport returns what makes requests with the credentials. base makes it without them, for a TLS configuration.
func (c Credentials) Transport(base func(*tls.Config) http.RoundTripper) (http.RoundTripper, error) {
	tlsConfig, err := config.NewTLSConfig(&config.TLSConfig{
		CAFile: c.CA, CertFile: c.Certificate, KeyFile: c.Key, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		return nil, fmt.Errorf("credentials for targets: %w", err)
	}
	files := config.TLSRoundTripperSettings{CA: secretIn(c.CA), Cert: secretIn(c.Certificate), Key: secretIn(c.Key)}
	transport, err := config.NewTLSRoundTripper(tlsConfig, files, func(t *tls.Config) (http.RoundTripper, error) { return base(t), nil })
	if err != nil {
		return nil, fmt.Errorf("credentials for targets: %w", err)
	}
	if c.Token == "" {
		return transport, nil
	}
	if _, err := firstToken(c.Token); err != nil {
		return nil, fmt.Errorf("credentials for targets: %w", err)
	}
	return &bearer{c.Token, transport}, nil
}

// bearer shows the first token of a file, which may be the one that the server reads.
type bearer struct {
	path string
	next http.RoundTripper
}

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return b.next.RoundTrip(r)
	}
	token, err := firstToken(b.path)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context()) // the caller's is not to be changed
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

// CloseIdleConnections is for http.Client, which looks for it.
func (b *bearer) CloseIdleConnections() { (&http.Client{Transport: b.next}).CloseIdleConnections() }

func firstToken(path string) (string, error) {
	list, err := readTokens(path)
	if err != nil {
		return "", err
	}
	return list[0], nil
}

// secretIn returns what a file holds whenever it is asked; nil if there is no path.
func secretIn(path string) config.SecretReader {
	if path == "" {
		return nil
	}
	return config.NewFileSecret(path)
}
