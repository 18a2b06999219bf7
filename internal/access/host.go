package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// checkHost rejects requests for other hosts, as a defence against DNS rebinding. A web page can let its own name resolve to
// a loopback address. It then reads what is served there as if it came from the page's own server. Such a request arrives on
// loopback, but its Host is the page's name.
func (g *Guard) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (len(g.Hosts) > 0 || isToLoopback(r)) && !g.isOwnName(normalizeHost(r.Host)) {
			reason := fmt.Sprintf("%.100q is not a name of this host: add it to OUTPOST_HOSTS if it is", r.Host)
			writeError(w, http.StatusMisdirectedRequest, reason)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isToLoopback reports whether a request arrived on a loopback address.
func isToLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	local, err := netip.ParseAddrPort(addr.String())
	return err == nil && local.Addr().Unmap().IsLoopback()
}

// normalizeHost returns the name or address in a Host header, in lower case and without port, brackets and final dot.
func normalizeHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// isOwnName reports whether a normalized host is this server. IP addresses are accepted, because nobody can let a page
// with an address as its host resolve to another address.
func (g *Guard) isOwnName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || name == "localhost" || name == "" {
		return true
	}
	return slices.Contains(g.Hosts, name)
}
