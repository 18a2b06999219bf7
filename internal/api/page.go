package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/PabloL007/outpost/internal/web"
)

// pagePath is the path of the page.
const pagePath = "/map/"

// page serves the page and its files.
func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	body, contentType, ok := web.File(strings.TrimPrefix(r.URL.Path, pagePath))
	if !ok {
		h.notFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", web.Policy)
	h.writeConditional(w, r, contentType, body, newETag(body, ""))
}

// routePage adds the routes of the page. At the root, browsers get a document that goes to the page and other clients get root.
func (h *handler) routePage(router chi.Router, root http.HandlerFunc) {
	for _, path := range []string{"", "{file}", "vendor/{file}"} {
		router.Get(pagePath+path, h.page)
	}
	entry, policy := []byte(web.Entry), web.EntryPolicy()
	tag := newETag(entry, "")
	router.Get("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Accept")
		if web.WantsHTML(r.Header.Values("Accept")) {
			w.Header().Set("Content-Security-Policy", policy)
			h.writeConditional(w, r, "text/html; charset=utf-8", entry, tag)
			return
		}
		root(w, r)
	})
}

// redirectToPage redirects from the page's path without its slash. The location is relative, so that it works behind a proxy with a
// path prefix.
func redirectToPage(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: strings.TrimPrefix(pagePath, "/"), RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusFound)
}
