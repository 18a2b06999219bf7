package enginetest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"
)

func (e *Engine) list(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	states := listedStates(r)
	switch {
	case e.podman && states["restarting"]:
		writeError(w, http.StatusInternalServerError, "unknown container state: restarting: invalid argument")
		return
	case len(states) == 0:
		states = map[string]bool{"running": true, "paused": !e.podman, "restarting": !e.podman}
	}
	list := []map[string]any{}
	for _, c := range e.containers {
		if !states[cmp.Or(c.State, "running")] {
			continue
		}
		list = append(list, map[string]any{
			"Id":         c.ID,
			"Names":      []string{"/linked/" + c.Name, "/" + c.Name},
			"Image":      cmp.Or(c.ListedImage, c.Image),
			"State":      cmp.Or(c.State, "running"),
			"HostConfig": map[string]any{"NetworkMode": cmp.Or(c.NetworkMode, "default")},
		})
	}
	writeJSON(w, list)
}

// listedStates returns the states that a list's filter names.
func listedStates(r *http.Request) map[string]bool {
	var filters struct{ Status map[string]bool }
	_ = json.Unmarshal([]byte(r.FormValue("filters")), &filters) // no filters
	return filters.Status
}

func (e *Engine) inspect(w http.ResponseWriter, r *http.Request) {
	c := e.find(r.PathValue("id"))
	if c == nil {
		writeError(w, http.StatusNotFound, "No such container: "+r.PathValue("id"))
		return
	}
	if c.InspectHangs {
		select {
		case <-e.closed:
		case <-r.Context().Done():
		}
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	writeJSON(w, map[string]any{
		"Id":           c.ID,
		"Name":         "/" + c.Name,
		"RestartCount": c.Restarts,
		"State":        c.inspectedState(),
		"Mounts":       c.Mounts,
		"HostConfig": map[string]any{
			"NetworkMode": cmp.Or(c.NetworkMode, "default"),
			"Runtime":     cmp.Or(c.Runtime, "runc"),
		},
		"Config":          map[string]any{"Image": c.Image, "Labels": c.Labels},
		"NetworkSettings": map[string]any{"Ports": c.Ports, "Networks": c.Networks},
	})
}

func (c *Container) inspectedState() map[string]any {
	status := cmp.Or(c.State, "running")
	state := map[string]any{
		"Status":     status,
		"Running":    status != "exited",
		"Paused":     status == "paused",
		"Restarting": status == "restarting",
		"StartedAt":  c.StartedAt.Format(time.RFC3339Nano),
	}
	if c.Health != "" {
		state["Health"] = map[string]any{"Status": c.Health}
	}
	return state
}
