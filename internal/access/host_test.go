package access_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
)

func TestHostIsCheckedOnLoopback(t *testing.T) {
	s := serve(t, access.Options{})
	for _, host := range []string{"localhost", "LOCALHOST:9057", "localhost.", "127.0.0.1:9057", "[::1]:9057", "[::1]", "192.0.2.1"} {
		s.expect(http.StatusOK, "/connections", "Host", host)
	}
	for _, host := range []string{"evil.example", "evil.example:9057", "localhost.evil.example", "127.0.0.1.evil.example", "outpost"} {
		s.expectError(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/connections", "Host", host)
		s.expectError(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/healthz", "Host", host)
	}
	named := serve(t, access.Options{Hosts: []string{"outpost.example"}})
	named.expect(http.StatusOK, "/connections", "Host", "Outpost.Example:9057")
	named.expect(http.StatusOK, "/connections", "Host", "localhost")
	named.expectError(http.StatusMisdirectedRequest, "OUTPOST_HOSTS", "/connections", "Host", "evil.example")
}

// beyond is a listener with connections that seem to arrive on an address other than loopback.
type beyond struct{ net.Listener }

func (l beyond) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return beyondConn{conn}, err
}

type beyondConn struct{ net.Conn }

func (beyondConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9057} }

// On other addresses, the Host is checked only if the options name hosts.
func TestHostIsCheckedElsewhereIfNamed(t *testing.T) {
	for _, test := range []struct {
		hosts  []string
		status int
	}{{nil, http.StatusOK}, {[]string{"outpost.example"}, http.StatusMisdirectedRequest}} {
		s := serveAt(t, access.Options{Hosts: test.hosts}, app, func(listener net.Listener) net.Listener { return beyond{listener} })
		s.expect(test.status, "/connections", "Host", "outpost.corp.example")
	}
}

func TestOnlyNamedOriginsMayRead(t *testing.T) {
	const allowed = "Access-Control-Allow-Origin"
	none := serve(t, access.Options{})
	if got := none.expect(http.StatusOK, "/connections", "Origin", "https://evil.example").Get(allowed); got != "" {
		t.Errorf("%s: %s", allowed, got)
	}
	s := serve(t, access.Options{Origins: []string{"https://grafana.example"}, TokenFile: file(t, token)})
	for origin, want := range map[string]string{"https://grafana.example": "https://grafana.example", "https://evil.example": "", "null": ""} {
		header := s.expect(http.StatusOK, "/connections", "Origin", origin, "Authorization", "Bearer "+token)
		if got := header.Get(allowed); got != want || header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", origin, header)
		}
	}
	preflight, _ := s.ask(http.DefaultClient, http.MethodOptions, "/connections", "Origin", "https://grafana.example",
		"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if preflight.StatusCode != http.StatusOK || preflight.Header.Get(allowed) != "https://grafana.example" || !strings.EqualFold(preflight.Header.Get("Access-Control-Allow-Headers"), "authorization") {
		t.Errorf("%d %v", preflight.StatusCode, preflight.Header)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Origin", "https://grafana.example")
}
