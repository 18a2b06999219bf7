package enginetest

import (
	"fmt"
	"net/http"
)

// SetHost makes the engine answer /info for a host of that name, with security options such as name=userns. Without it, the answer is 404.
func (e *Engine) SetHost(name string, securityOptions ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.host = map[string]any{"ID": "engine-of-" + name, "Name": name, "ServerVersion": "29.0.0", "SecurityOptions": securityOptions}
}

// ActAsPodman makes the engine report another ID in each answer to /info, list running containers only unless a filter names
// states, and reject a state that Podman does not have.
func (e *Engine) ActAsPodman() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.podman = true
}

func (e *Engine) info(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.host == nil {
		writeError(w, http.StatusNotFound, "page not found")
		return
	}
	if e.podman {
		e.host["ID"] = fmt.Sprint("random-", e.calls["info"])
	}
	writeJSON(w, e.host)
}
