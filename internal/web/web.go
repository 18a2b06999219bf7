// Package web is the map page: plain HTML, CSS and ES modules, which ask the server that they come from for /v1/graph.
package web

import (
	"embed"
	"path"
)

// Policy is the Content-Security-Policy of the page: it gets its own server's files and answers and nothing else, and has
// no script or style within its markup. The picture that is saved as PNG is drawn from a blob of the page's own.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed static
var files embed.FS

// types are those of files by the ends of their names; what a machine has for them may differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// File returns a file of the page by its path below the page's, and its content type; the page itself is "". It reports
// whether there is such a file.
func File(name string) (body []byte, contentType string, ok bool) {
	if name == "" {
		name = "index.html"
	}
	body, err := files.ReadFile("static/" + name)
	contentType, served := types[path.Ext(name)]
	return body, contentType, served && err == nil
}
