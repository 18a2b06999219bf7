package mapper

import (
	"crypto/tls"
	"net/http"
	"sync"
	"time"
)

// serverNameKey is the context key of the name that the server's certificate must have. Without it the URL's host applies.
type serverNameKey struct{}

// perNameTransport has a transport for each server name, so that a connection verified for one name is not reused for another.
type perNameTransport struct {
	config *tls.Config

	mu     sync.Mutex
	byName map[string]*http.Transport
}

// NewTransport returns the transport of a mapper's requests. It keeps one idle connection to each daemon and bounds the headers
// that a hostile one can send. It ignores proxies of the environment, because they would see the credentials.
func NewTransport(config *tls.Config) http.RoundTripper {
	return &perNameTransport{config: config, byName: make(map[string]*http.Transport)}
}

func (t *perNameTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	name, _ := r.Context().Value(serverNameKey{}).(string)
	return t.transport(name).RoundTrip(r)
}

func (t *perNameTransport) transport(serverName string) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if existing, ok := t.byName[serverName]; ok {
		return existing
	}
	if len(t.byName) >= maxTargets { // most of them are names of former targets
		clear(t.byName)
	}
	config := t.config.Clone() // nil stays nil
	if serverName != "" {
		if config == nil {
			config = new(tls.Config)
		}
		config.ServerName = serverName
	}
	t.byName[serverName] = &http.Transport{
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        10 * time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
	}
	return t.byName[serverName]
}

// CloseIdleConnections is called by http.Client.CloseIdleConnections.
func (t *perNameTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, transport := range t.byName {
		transport.CloseIdleConnections()
	}
}
