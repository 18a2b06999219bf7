package access

import (
	"crypto/sha256"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/web"
)

const (
	// maxForm is the maximum length of a sign-in form in bytes.
	maxForm = 16 << 10
	// signOutPath is the path of sign-outs.
	signOutPath = "/sign-out"
	// sessionHeader marks answers to requests with a session, so that the page offers to sign out.
	sessionHeader = "Outpost-Session"
)

// Problems that the sign-in page names.
const (
	wrongToken    = "This token is not valid."
	wrongPassword = "The name or the password is not valid."
	wrongEither   = "The name, the password or the token is not valid."
	otherOrigin   = "This form was sent from another site. Behind a proxy, add the name of this site to OUTPOST_HOSTS."
)

// wantsDocument reports whether a browser requests a document to show. Programs do not accept HTML. The page's own requests are no
// navigations; browsers send Sec-Fetch-Mode over TLS and to loopback only.
func wantsDocument(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (mode == "" || mode == "navigate") && web.WantsHTML(r.Header.Values("Accept"))
}

// isSignIn reports whether a browser sends the form of the sign-in page. The form posts to the address of its own document, because
// only the browser knows the prefix that a proxy has removed.
func isSignIn(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && r.Method == http.MethodPost && media == "application/x-www-form-urlencoded" && wantsDocument(r)
}

// signIn begins a session if the form has a token, or the name and password of a user. It treats them as basic authentication.
func (g *Guard) signIn(config *webConfig, asked policy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.isSameOrigin(r) {
			writeSignIn(w, http.StatusForbidden, signInForm{asked: asked, Problem: otherOrigin})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		_ = r.ParseForm() // a form that cannot be read has no secret
		r.SetBasicAuth(r.PostForm.Get("name"), r.PostForm.Get("secret"))
		opened, outcome, err := g.prove(r, config, asked)
		switch {
		case err != nil:
			tooManyAtOnce(w)
		case outcome == allow:
			opened.cookiePath = cookiePath(r)
			g.setCookie(w, r, g.sessions.begin(opened), opened.cookiePath)
			w.Header().Set("Location", "?"+r.URL.RawQuery) // the document's own address, whatever its prefix
			w.WriteHeader(http.StatusSeeOther)
		case outcome == requireToken || outcome == checkPassword:
			writeSignIn(w, http.StatusUnauthorized, signInForm{asked: asked, Problem: wrong(asked)})
		default:
			reject(w, r, outcome)
		}
	})
}

// prove returns a session for the credentials of a request. Only with the outcome allow are they right.
func (g *Guard) prove(r *http.Request, config *webConfig, asked policy) (session, decision, error) {
	token := presentedToken(r)
	outcome := authorize(proof{token: g.hasToken(token), certificate: hasCertificate(r)}, asked)
	if outcome != checkPassword {
		return session{token: sha256.Sum256([]byte(token))}, outcome, nil
	}
	name, password, _ := r.BasicAuth()
	if ok, err := g.passwords.check(r.Context(), config.Users, name, password); err != nil || !ok {
		return session{}, checkPassword, err
	}
	return session{user: name, password: config.Users[name]}, allow, nil
}

// wrong returns the problem of a form with wrong credentials.
func wrong(asked policy) string {
	switch {
	case !asked.now.user:
		return wrongToken
	case !asked.tokens:
		return wrongPassword
	}
	return wrongEither
}

// signOut ends the session of a request.
func (g *Guard) signOut(w http.ResponseWriter, r *http.Request, opened session) {
	if !g.isSameOrigin(r) {
		writeError(w, http.StatusForbidden, "sign out on the page itself")
		return
	}
	g.sessions.end(r)
	g.setCookie(w, r, "", opened.cookiePath)
	w.WriteHeader(http.StatusNoContent)
}

// setCookie sets the cookie of a session, or removes it if id is empty. It lasts until the browser ends.
func (g *Guard) setCookie(w http.ResponseWriter, r *http.Request, id, path string) {
	cookie := &http.Cookie{ //nolint:gosec // without TLS a browser drops a secure cookie
		Name: g.sessions.cookie, Value: id, Path: path, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		// Behind a proxy with TLS, the browser states the scheme.
		Secure: r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
	}
	if id == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
	w.Header().Set("Cache-Control", "no-store")
}

// isSameOrigin reports whether the page of a request is from this server. If a proxy replaced the Host, the page's name must be one of
// Hosts, unless the browser sends Sec-Fetch-Site.
func (g *Guard) isSameOrigin(r *http.Request) bool {
	if new(http.CrossOriginProtection).Check(r) == nil {
		return true
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && r.Header.Get("Sec-Fetch-Site") == "" && slices.Contains(g.Hosts, normalizeHost(origin.Host))
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

// cookiePath returns the path below which the browser that sent a form sees this server. It is what the browser's path has before
// the path of the request, or "/" if the browser does not send its path.
func cookiePath(r *http.Request) string {
	referer, err := url.Parse(r.Referer())
	if err != nil {
		return "/"
	}
	own := strings.TrimRight(r.URL.EscapedPath(), "/") // a proxy may have added a slash to its prefix
	prefix, ok := strings.CutSuffix(strings.TrimRight(referer.EscapedPath(), "/"), own)
	if !ok || prefix == "" || !plainPath.MatchString(prefix) {
		return "/"
	}
	return prefix
}
