package enginetest

import (
	"encoding/json"
	"net/http"
)

// SetNetworks makes the engine answer /networks with a document, and /networks/{id} with one of its elements, unless that has
// "Removed":true. Without it, the calls are forbidden.
func (e *Engine) SetNetworks(document string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.networks = json.RawMessage(document)
}

func (e *Engine) listNetworks(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.networks == nil {
		writeError(w, http.StatusForbidden, "forbidden by a proxy")
		return
	}
	writeJSON(w, e.networks)
}

func (e *Engine) inspectNetwork(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var networks []json.RawMessage
	_ = json.Unmarshal(e.networks, &networks) // none if it is no list
	for _, document := range networks {
		var network struct {
			ID      string
			Removed bool
		}
		if err := json.Unmarshal(document, &network); err == nil && network.ID == r.PathValue("id") && !network.Removed && r.FormValue("verbose") == "true" {
			writeJSON(w, document)
			return
		}
	}
	writeError(w, http.StatusNotFound, "network not found")
}
