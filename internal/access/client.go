package access

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/prometheus/common/config"

	"github.com/PabloL007/outpost/internal/textfile"
)

// Credentials are what a client sends to daemons, and how it verifies them. Each is the path of a file, or empty. The
// files are read again when they change.
type Credentials struct {
	// Token is a file with a bearer token. It is not sent where the URL has a user.
	Token string
	// CA is a file with the certificates that sign the daemons' certificates; by default the machine's.
	CA string
	// Certificate and Key are the client's own.
	Certificate, Key string
}

// Transport returns a transport that sends the credentials. base makes the transport below it from a TLS configuration.
func (c Credentials) Transport(base func(*tls.Config) http.RoundTripper) (http.RoundTripper, error) {
	tlsConfig, err := config.NewTLSConfig(&config.TLSConfig{
		CARef: c.CA, CertRef: c.Certificate, KeyRef: c.Key, MinVersion: tls.VersionTLS12,
	}, config.WithSecretManager(pemFiles{}))
	if err != nil {
		return nil, fmt.Errorf("credentials for targets: %w", err)
	}
	files := config.TLSRoundTripperSettings{CA: newSecret(c.CA), Cert: newSecret(c.Certificate), Key: newSecret(c.Key)}
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
	return &bearerTransport{c.Token, transport}, nil
}

// bearerTransport sends the first token of a file, which may be the server's own token file.
type bearerTransport struct {
	path string
	next http.RoundTripper
}

func (b *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" {
		return b.next.RoundTrip(r)
	}
	token, err := firstToken(b.path)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context()) // http.RoundTripper must not change the caller's request
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

// CloseIdleConnections implements the interface that http.Client looks for.
func (b *bearerTransport) CloseIdleConnections() {
	(&http.Client{Transport: b.next}).CloseIdleConnections()
}

func firstToken(path string) (string, error) {
	list, err := readTokens(path)
	if err != nil {
		return "", err
	}
	return list[0], nil
}

// maxPEMFile is the maximum length of a file of certificates or a key in bytes.
const maxPEMFile = 4 << 20

// pemFiles reads files of certificates and keys by their paths. config's own reader keeps a byte order mark, and crypto/tls does not
// find the certificate behind it.
type pemFiles struct{}

// Fetch implements config.SecretManager.
func (pemFiles) Fetch(_ context.Context, path string) (string, error) {
	text, err := textfile.Read(path, maxPEMFile)
	return string(text), err
}

// pemFile is the path of one such file. It implements config.SecretReader.
type pemFile string

func (f pemFile) Fetch(ctx context.Context) (string, error) { return pemFiles{}.Fetch(ctx, string(f)) }
func (f pemFile) Description() string                       { return "file " + string(f) }
func (f pemFile) Immutable() bool                           { return false }

// newSecret returns a reader of the file at path; nil if path is empty.
func newSecret(path string) config.SecretReader {
	if path == "" {
		return nil
	}
	return pemFile(path)
}
