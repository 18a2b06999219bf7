package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addressed turns requests away that are addressed to a host that is not served here. A page of anybody's can have its own
// name point to loopback and then read what is served there, as if it came from the page's own server (DNS rebinding): such
// a request comes to loopback, but not under one of its names.
func (g *Guard) addressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (len(g.Hosts) > 0 || toLoopback(r)) && !g.served(hostname(r.Host)) {
			reason := fmt.Sprintf("%.100q is no name of this host: name it in OUTPOST_HOSTS if it is", r.Host)
			refuse(w, http.StatusMisdirectedRequest, reason)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// toLoopback reports whether a request came to a loopback address.
func toLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	local, err := netip.ParseAddrPort(addr.String())
	return err == nil && local.Addr().Unmap().IsLoopback()
}

// hostname returns a Host header's without its port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// served reports whether a name is one of this host's. No page's address has an IP address that somebody can have point
// elsewhere.
func (g *Guard) served(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || name == "" {
		return true
	}
	return slices.Contains(g.Hosts, name)
}
