package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
)

// Any query gets an expected status, and JSON responses are valid.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{
		"", "container=web&project=shop", "depth=1", "depth=-1", "since=10m", "since=2026-01-02T15:04:05Z", "external=group&group=host", "group=%00",
		"host=%ff", "a=b", "%", ";", "container=web&container=api", "depth=99999999999999999999", "q=web+-kind:external+port:80", "q=%22",
	} {
		f.Add(query, "text/html;q=0")
	}
	f.Add("", "text/html, */*")
	g := graph.Graph{Version: graph.Version, Nodes: []graph.Node{
		{ID: "container/h/1", Kind: graph.KindContainer, Name: "web", Host: "h", Project: "shop"}, {ID: "external/192.0.2.1", Kind: graph.KindExternal, Name: "192.0.2.1"},
	}, Links: []graph.Link{{Client: "external/192.0.2.1", Server: "container/h/1", Port: 80, Live: true, Connections: 1}}}
	handler := New(Options{Daemon: oneContainer(), Map: fakeMap{graph: g}, Metrics: http.NotFoundHandler(), Log: zerolog.Nop()})
	f.Fuzz(func(t *testing.T, query, accept string) {
		for _, path := range []string{"/", "/connections", "/v1/snapshot", "/v1/graph", "/v1/graph.dot", "/v1/graph.mmd", "/v1/graph.csv", "/api/graph/data", "/map/" + query} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			request.URL.Path, request.URL.RawQuery = path, query
			request.Header["Accept"] = []string{accept}
			request.Header["If-None-Match"] = []string{query}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			switch recorder.Code {
			case http.StatusOK, http.StatusBadRequest, http.StatusFound, http.StatusNotModified, http.StatusNotFound:
			default:
				t.Errorf("%s?%q: %d %s", path, query, recorder.Code, recorder.Body)
			}
			if recorder.Header().Get("Content-Type") == typeJSON && recorder.Body.Len() > 0 && !json.Valid(recorder.Body.Bytes()) {
				t.Errorf("%s?%q: %s", path, query, recorder.Body)
			}
		}
	})
}
