package api

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/PabloL007/outpost/internal/web"
)

// pagePath is where the page is.
const pagePath = "/map/"

// page answers with the map page and its files.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	body, contentType, ok := web.File(strings.TrimPrefix(r.URL.Path, pagePath))
	if !ok {
		h.notFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", web.Policy)
	h.conditional(w, r, contentType, body, etagOf(body, ""))
}

// routePage serves the page. Browsers that ask for the root are sent there; everybody else gets root.
func (h *handler) routePage(router chi.Router, root http.HandlerFunc) {
	for _, path := range []string{"", "{file}", "vendor/{file}"} {
		router.Get(pagePath+path, h.page)
	}
	router.Get("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if wantsHTML(r.Header.Values("Accept")) {
			toPage(w, r)
			return
		}
		root(w, r)
	})
}

// toPage sends a browser to the page, by a relative path, which is right behind a proxy's prefix too.
func toPage(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: strings.TrimPrefix(pagePath, "/"), RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusFound)
}

// wantsHTML reports whether an Accept header names HTML, as those of browsers do and those of programs do not.
func wantsHTML(accept []string) bool {
	for _, field := range accept {
		for media := range strings.SplitSeq(field, ",") {
			if name, parameters, err := mime.ParseMediaType(media); err == nil && name == "text/html" && parameters["q"] != "0" {
				return true
			}
		}
	}
	return false
}
