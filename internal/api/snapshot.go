package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
)

const (
	// incompleteHeader names the containers of which something is missing.
	incompleteHeader = "Outpost-Incomplete"
	// incompleteLimit is how long the header gets, in bytes: proxies refuse answers whose headers pass 4 to 8 KiB.
	incompleteLimit = 2048
)

// connections answers GET /connections.
func (h *handler) connections(w http.ResponseWriter, r *http.Request) {
	taken, ok := h.take(w, r, false)
	if !ok {
		return
	}
	if body, ok := h.encode(w, snapshot.ConnectionsOf(taken)); ok {
		incomplete := setIncomplete(w, taken.Containers)
		h.conditional(w, r, typeJSON, body, etagOf(body, incomplete))
	}
}

// snapshot answers GET /v1/snapshot. Its tag is that of the answer without when and how long, and without what is measured,
// which is never the same: the connection through which it is asked is among those that are measured.
func (h *handler) snapshot(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter := snapshot.Filter{Container: query.Get("container"), Project: query.Get("project")}
	taken, ok := h.take(w, r, true)
	if !ok {
		return
	}
	taken = filter.Apply(taken)
	document := snapshot.DocumentOf(taken)
	body, ok := h.encode(w, document)
	if !ok {
		return
	}
	document.TakenAt, document.DurationMs = time.Time{}, 0
	for _, c := range document.Containers {
		for i := range c.Connections {
			c.Connections[i].Measured = nil
		}
	}
	tagged, ok := h.encode(w, document)
	if !ok {
		return
	}
	incomplete := setIncomplete(w, taken.Containers)
	h.conditional(w, r, typeJSON, body, etagOf(tagged, incomplete))
}

// take returns a snapshot, or answers itself.
func (h *handler) take(w http.ResponseWriter, r *http.Request, measured bool) (taken snapshot.Snapshot, ok bool) {
	ok = h.patiently(w, r, func() (err error) {
		taken, err = h.Source.Snapshot(r.Context(), measured)
		return err
	})
	return taken, ok
}

// patiently waits for what takes as long as it takes: the server's timeouts are for clients. It reports whether there is
// something to answer with, or else answers itself.
func (h *handler) patiently(w http.ResponseWriter, r *http.Request, take func() error) bool {
	// The timeout for reading would end the request's context, because the server goes on reading while a handler runs.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{}) // without a connection, in tests, there is none to set
	err := take()
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if r.Context().Err() != nil {
		return false // nobody waits for the answer
	}
	if err != nil {
		h.fail(w, err)
	}
	return err == nil
}

func setIncomplete(w http.ResponseWriter, containers []snapshot.Container) string {
	incomplete := incompleteNames(containers)
	if incomplete != "" {
		w.Header().Set(incompleteHeader, incomplete)
	}
	return incomplete
}

// conditional answers with body, or with 304 if the client has it.
func (h *handler) conditional(w http.ResponseWriter, r *http.Request, contentType string, body []byte, tag string) {
	w.Header().Set("Cache-Control", "no-cache") // ask again each time, with the ETag
	w.Header().Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.write(w, http.StatusOK, contentType, body)
}

// incompleteNames lists the names of incomplete containers; how many did not fit stands at the end.
func incompleteNames(containers []snapshot.Container) string {
	const separator = ", "
	var names []string
	length, omitted := 0, 0
	for _, c := range containers {
		if len(c.Problems) == 0 {
			continue
		}
		name := cmp.Or(c.Name, c.ID)
		if length += len(name) + len(separator); length > incompleteLimit {
			omitted++
			continue
		}
		names = append(names, name)
	}
	if omitted > 0 {
		names = append(names, fmt.Sprintf("(and %d more)", omitted))
	}
	return strings.Join(names, separator)
}

// etagOf returns a weak tag: the body is the same whether it is sent compressed or not.
func etagOf(body []byte, incomplete string) string {
	hash := sha256.New()
	_, _ = hash.Write(body)
	_, _ = hash.Write([]byte(incomplete))
	return `W/"` + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// matches compares weakly, as RFC 9110 section 13.1.2 demands.
func matches(ifNoneMatch []string, tag string) bool {
	for _, field := range ifNoneMatch {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}
