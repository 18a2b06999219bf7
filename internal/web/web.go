// Package web contains the map page: HTML, CSS and ES modules that poll /v1/graph of their own server.
package web

import (
	"embed"
	"path"
)

// Policy is the Content-Security-Policy of the page. It allows only files and answers of its own server and forbids inline scripts
// and styles. Only the policy "outpost" of the page makes addresses of scripts, for its worker. The PNG export needs images from
// blobs of the page.
const Policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types outpost"

//go:embed static
var files embed.FS

// types are the content types by file extension. The table of the machine may differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// File returns a file of the page and its content type by its path below the page; the page itself is "". ok reports whether the
// file exists.
func File(name string) (body []byte, contentType string, ok bool) {
	if name == "" {
		name = "index.html"
	}
	body, err := files.ReadFile("static/" + name)
	contentType, served := types[path.Ext(name)]
	if !served || err != nil {
		return nil, "", false
	}
	return minifyFile(name, body), contentType, true
}
