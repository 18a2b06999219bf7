package access

import (
	"cmp"
	"net/http"
	"strings"
)

// stripBasePath removes BasePath from the paths below it. It compares the escaped path, so that an escaped slash is no segment's end.
// BasePath needs no escapes, so that the decoded path begins with it too.
func (g *Guard) stripBasePath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), g.BasePath)
		if g.BasePath != "" && ok && (rest == "" || rest[0] == '/') {
			r = r.WithContext(r.Context()) // a copy, because a handler must not change its request
			stripped := *r.URL
			stripped.Path = cmp.Or(strings.TrimPrefix(stripped.Path, g.BasePath), "/")
			stripped.RawPath = strings.TrimPrefix(stripped.RawPath, g.BasePath)
			r.URL = &stripped
		}
		next.ServeHTTP(w, r)
	})
}
