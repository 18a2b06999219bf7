package mapper

import (
	"crypto/tls"
	"net/http"
	"sync"
	"time"
)

// certified is the key of the name that a certificate has to be of, in the context of a request; without it, the URL's.
type certified struct{}

// transports make a mapper's requests, each for a name that certificates have to be of: a connection to a daemon that proved to
// be of one name is not used for another.
type transports struct {
	config *tls.Config

	mu     sync.Mutex
	byName map[string]*http.Transport
}

// NewTransport returns what makes a mapper's requests: it keeps a connection to each daemon, and no hostile one can make it
// take more memory than its share. A proxy of the environment is not for it.
func NewTransport(c *tls.Config) http.RoundTripper {
	return &transports{config: c, byName: make(map[string]*http.Transport)}
}

func (t *transports) RoundTrip(r *http.Request) (*http.Response, error) {
	name, _ := r.Context().Value(certified{}).(string)
	return t.of(name).RoundTrip(r)
}

func (t *transports) of(name string) *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.byName[name]; ok {
		return made
	}
	if len(t.byName) >= maxTargets { // names that were targets once
		clear(t.byName)
	}
	named := t.config.Clone() // nil of nil
	if name != "" {
		if named == nil {
			named = new(tls.Config)
		}
		named.ServerName = name
	}
	t.byName[name] = &http.Transport{
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        10 * time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        named,
		TLSHandshakeTimeout:    10 * time.Second,
	}
	return t.byName[name]
}

// CloseIdleConnections is for http.Client, which looks for it.
func (t *transports) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, transport := range t.byName {
		transport.CloseIdleConnections()
	}
}
