package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// signInStyle has the colours of the page.
const signInStyle = `:root{color-scheme:light dark;--surface:light-dark(#ffffff,#1d2128);--ink:light-dark(#1b222d,#e6e9ee);` +
	`--quiet:light-dark(#566072,#a2acbb);--edge:light-dark(#8792a2,#68748a);--accent:light-dark(#1d5fd1,#6ea8ff);` +
	`--ground:light-dark(#f6f7f9,#14171c);--trouble:light-dark(#b3261e,#ff9d95)}` +
	`*{box-sizing:border-box}` +
	`body{margin:0;min-height:100vh;display:grid;place-items:center;padding:16px;font:16px/1.4 system-ui,sans-serif;color:var(--ink);background:var(--ground)}` +
	`main{width:100%;max-width:360px;padding:24px;background:var(--surface);border-radius:8px}` +
	`h1{font-size:20px;margin:0 0 16px}p{margin:0 0 16px}p.quiet{margin:16px 0 0;font-size:14px;color:var(--quiet)}` +
	`p[role=alert]{color:var(--trouble)}label{display:block;margin:0 0 16px}` +
	`input,button{display:block;width:100%;min-height:40px;padding:6px 10px;font:inherit;color:inherit;background:var(--surface);border:1px solid var(--edge);border-radius:6px}` +
	`button{cursor:pointer;color:var(--ground);background:var(--accent);border-color:var(--accent)}` +
	`[hidden]{display:none}:focus-visible{outline:2px solid var(--accent);outline-offset:2px}`

// signInPage needs no script. The hidden name is for password managers. If another site leads to the page, browsers leave out the cookie with SameSite=Strict; the page then
// requests itself again.
var signInPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Sign in to Outpost</title>
  <link rel="icon" href="data:,">{{if .Again}}
  <meta http-equiv="refresh" content="0">{{end}}
  <style>` + signInStyle + `</style>
</head>
<body>
  <main>
    <h1>Sign in to Outpost</h1>{{with .Problem}}
    <p role="alert">{{.}}</p>{{end}}
    <form method="post">{{if .Users}}
      <label>Name <input name="name" autocomplete="username" autocapitalize="none" spellcheck="false"{{if not .Tokens}} required{{end}} autofocus></label>{{else}}
      <input name="name" value="token" autocomplete="username" hidden>{{end}}
      <label>{{if not .Users}}Token{{else if .Tokens}}Password or token{{else}}Password{{end}}
        <input name="secret" type="password" autocomplete="current-password" required{{if not .Users}} autofocus{{end}}></label>
      <button>Sign in</button>
    </form>{{if .Tokens}}
    <p class="quiet">{{if .Users}}With a token, leave the name empty. {{end}}The tokens are in the file of OUTPOST_TOKEN_FILE on the server.</p>{{end}}
  </main>
</body>
</html>
`))

// signInForm is what the sign-in page shows.
type signInForm struct {
	asked   policy
	Problem string
	Again   bool // request the document again
}

// Users reports whether a name and a password are accepted.
func (f signInForm) Users() bool { return f.asked.now.user }

// Tokens reports whether a token is accepted.
func (f signInForm) Tokens() bool { return f.asked.tokens }

// signInPolicy returns the Content-Security-Policy of the sign-in page.
func signInPolicy() string {
	hash := sha256.Sum256([]byte(signInStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// wantsSignIn reports whether a request without credentials gets the sign-in page.
func wantsSignIn(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && wantsDocument(r)
}

// offerSignIn answers a request for a document with the sign-in page.
func offerSignIn(w http.ResponseWriter, r *http.Request, asked policy) {
	writeSignIn(w, http.StatusUnauthorized, signInForm{asked: asked, Again: r.Header.Get("Sec-Fetch-Site") == "cross-site"})
}

// writeSignIn answers with the sign-in page.
func writeSignIn(w http.ResponseWriter, status int, form signInForm) {
	var body bytes.Buffer
	if err := signInPage.Execute(&body, form); err != nil {
		writeError(w, http.StatusInternalServerError, "internal error")
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", signInPolicy())
	header.Set("Referrer-Policy", "same-origin") // otherwise the Origin of the form is "null"
	header.Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", formChallenge)
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the client has gone
}
