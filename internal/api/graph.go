package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// Content types of responses.
const (
	typeJSON    = "application/json"
	typeDOT     = "text/vnd.graphviz; charset=utf-8"
	typeMermaid = "text/vnd.mermaid; charset=utf-8"
	typeCSV     = "text/csv; charset=utf-8; header=present"
)

// badRequestError is an error of the client. Its text is for the client.
type badRequestError struct{ error }

// parseView returns the view that the query of a request describes.
func parseView(r *http.Request) (view graph.View, err error) {
	for name, values := range r.URL.Query() {
		for _, value := range values {
			if err := view.Set(name, value); err != nil {
				return view, badRequestError{err}
			}
		}
	}
	return view, nil
}

// serveGraph serves the map in the format that encode writes.
func (h *handler) serveGraph(contentType string, encode func(io.Writer, graph.Graph) error) http.HandlerFunc {
	return h.graphs.limit(h, func(w http.ResponseWriter, r *http.Request) {
		view, err := parseView(r)
		if err != nil {
			h.writeError(w, err)
			return
		}
		h.writeGraph(w, r, contentType, view, encode)
	})
}

func (h *handler) writeGraph(w http.ResponseWriter, r *http.Request, contentType string, view graph.View, encode func(io.Writer, graph.Graph) error) {
	var g graph.Graph
	if !h.withoutDeadlines(w, r, func() (err error) {
		g, err = h.Map.Graph(r.Context())
		return err
	}) {
		return
	}
	h.graphs.setSize(len(g.Links))
	if h.ContainerLinks != nil {
		g.ContainerLinks = h.ContainerLinks()
	}
	var body bytes.Buffer
	if err := encode(&body, view.Apply(g, time.Now())); err != nil {
		h.writeEncodingError(w, err)
		return
	}
	h.writeConditional(w, r, contentType, body.Bytes(), newETag(body.Bytes(), ""))
}

// grafanaFields serves GET /api/graph/fields.
func (h *handler) grafanaFields(w http.ResponseWriter, _ *http.Request) {
	h.writeJSON(w, http.StatusOK, graph.FieldsForGrafana())
}

// grafanaData serves GET /api/graph/data. It ignores unknown parameters, because Grafana adds its own.
func (h *handler) grafanaData(w http.ResponseWriter, r *http.Request) {
	var view graph.View
	query := r.URL.Query()
	for _, name := range graph.Options() {
		for _, value := range query[name] {
			if err := view.Set(name, value); err != nil {
				h.writeError(w, badRequestError{err})
				return
			}
		}
	}
	h.writeGraph(w, r, typeJSON, view, func(w io.Writer, g graph.Graph) error { return json.NewEncoder(w).Encode(graph.ForGrafana(g)) })
}
