package enginetest

import (
	"encoding/json"
	"net/http"
)

// SetNetworks makes the engine answer /networks with a document. Without it, the call is forbidden.
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
