package web

import (
	"path"
	"strings"
	"sync"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

// minifier removes comments and blanks. It keeps the names of variables, so that the positions of errors can be read.
var minifier = sync.OnceValue(func() *minify.M {
	m := minify.New()
	m.Add(".js", &js.Minifier{KeepVarNames: true})
	m.Add(".css", &css.Minifier{})
	return m
})

// minified has the minified files of the page by their names.
var minified = struct {
	mu    sync.Mutex
	files map[string][]byte
}{files: make(map[string][]byte)}

// minifyFile returns a script or style sheet of the page without comments. Other files, and what the minifier cannot parse, stay as they are.
func minifyFile(name string, body []byte) []byte {
	kind := path.Ext(name)
	if kind != ".js" && kind != ".css" || strings.Contains(name, "/") { // the vendored ones are minified
		return body
	}
	minified.mu.Lock()
	defer minified.mu.Unlock()
	if small, ok := minified.files[name]; ok {
		return small
	}
	small, err := minifier().Bytes(kind, body)
	if err != nil {
		small = body
	}
	minified.files[name] = small
	return small
}
