package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/PabloL007/outpost/internal/graph"
)

// Types of answers.
const (
	typeJSON    = "application/json"
	typeDOT     = "text/vnd.graphviz; charset=utf-8"
	typeMermaid = "text/vnd.mermaid; charset=utf-8"
	typeCSV     = "text/csv; charset=utf-8; header=present"
)

// badRequestError is an error of whoever asks; its words are for them.
type badRequestError struct{ error }

// viewOf reads what is to be seen from a request's query.
func viewOf(r *http.Request) (view graph.View, err error) {
	for name, values := range r.URL.Query() {
		for _, value := range values {
			if err := view.Set(name, value); err != nil {
				return view, badRequestError{err}
			}
		}
	}
	return view, nil
}

// graphAs answers with a map as write writes it.
func (h *handler) graphAs(contentType string, write func(io.Writer, graph.Graph) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		view, err := viewOf(r)
		if err != nil {
			h.fail(w, err)
			return
		}
		h.answerMap(w, r, contentType, view, write)
	}
}

func (h *handler) answerMap(w http.ResponseWriter, r *http.Request, contentType string, view graph.View, write func(io.Writer, graph.Graph) error) {
	var linked graph.Graph
	if !h.patiently(w, r, func() (err error) {
		linked, err = h.Map.Graph(r.Context())
		return err
	}) {
		return
	}
	var body bytes.Buffer
	if err := write(&body, view.Apply(linked, time.Now())); err != nil {
		h.broken(w, err)
		return
	}
	h.conditional(w, r, contentType, body.Bytes(), etagOf(body.Bytes(), ""))
}

// grafanaFields answers GET /api/graph/fields.
func (h *handler) grafanaFields(w http.ResponseWriter, _ *http.Request) {
	h.json(w, http.StatusOK, graph.FieldsForGrafana())
}

// grafanaData answers GET /api/graph/data. Grafana adds parameters of its own, which mean nothing here.
func (h *handler) grafanaData(w http.ResponseWriter, r *http.Request) {
	var view graph.View
	for _, name := range graph.Options() {
		if err := view.Set(name, r.URL.Query().Get(name)); err != nil {
			h.fail(w, badRequestError{err})
			return
		}
	}
	h.answerMap(w, r, typeJSON, view, func(w io.Writer, g graph.Graph) error { return json.NewEncoder(w).Encode(graph.ForGrafana(g)) })
}
