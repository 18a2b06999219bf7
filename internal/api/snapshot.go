package api

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

const (
	// incompleteHeader names the containers of the response about which something is missing.
	incompleteHeader = "Outpost-Incomplete"
	// maxIncompleteHeader is the maximum length of the header in bytes. Proxies reject headers of more than 4 to 8 KiB.
	maxIncompleteHeader = 2048
)

// connections serves GET /connections.
func (h *handler) connections(w http.ResponseWriter, r *http.Request) {
	protocols, err := parseProtocols(r.URL.Query().Get("protocol"))
	if err != nil {
		h.writeError(w, err)
		return
	}
	taken, ok := h.snapshotFor(w, r, false)
	if !ok {
		return
	}
	if body, ok := h.encode(w, taken.ToConnections(protocols...)); ok {
		incomplete := setIncomplete(w, taken.Containers)
		h.writeConditional(w, r, typeJSON, body, newETag(body, incomplete))
	}
}

// parseProtocols returns the protocols that a parameter of /connections selects. Old clients send none and expect TCP.
func parseProtocols(text string) ([]socket.Protocol, error) {
	switch text {
	case "", "tcp":
		return []socket.Protocol{socket.TCP}, nil
	case "udp":
		return []socket.Protocol{socket.UDP}, nil
	case "all":
		return []socket.Protocol{socket.TCP, socket.UDP}, nil
	}
	return nil, badRequestError{fmt.Errorf("protocol=%q: want tcp, udp or all", text)}
}

// snapshot serves GET /v1/snapshot. The ETag ignores the time, the duration and the TCP measurements, but not which connections are
// idle. They differ in each response: the request's own connection is among the measured ones.
func (h *handler) snapshot(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter := snapshot.Filter{Container: query.Get("container"), Project: query.Get("project")}
	taken, ok := h.snapshotFor(w, r, true)
	if !ok {
		return
	}
	taken = filter.Apply(taken)
	document := taken.ToV1()
	body, ok := h.encode(w, document)
	if !ok {
		return
	}
	removeUnstable(&document)
	stable, ok := h.encode(w, document)
	if !ok {
		return
	}
	incomplete := setIncomplete(w, taken.Containers)
	h.writeConditional(w, r, typeJSON, body, newETag(stable, incomplete))
}

// removeUnstable removes what differs between two readings of the same sockets. The kernel's clock ticks at other moments than
// Outpost's, so ClosedAt may differ by a second.
func removeUnstable(document *snapshotv1.Snapshot) {
	document.TakenAt, document.DurationMs = time.Time{}, 0
	for _, c := range document.Containers {
		for i := range c.Connections {
			c.Connections[i].Measured, c.Connections[i].ClosedAt = stableMeasured(c.Connections[i].Measured), nil
		}
	}
	if document.Host.Sockets == nil {
		return
	}
	for i := range document.Host.Sockets.Connections {
		connection := &document.Host.Sockets.Connections[i]
		connection.Measured, connection.ClosedAt = stableMeasured(connection.Measured), nil
	}
}

// stableMeasured returns what differs only between an idle connection and a busy one.
func stableMeasured(m *snapshotv1.TCPInfo) *snapshotv1.TCPInfo {
	if m == nil || m.IdleSeconds < snapshotv1.MinIdleSeconds {
		return nil
	}
	return &snapshotv1.TCPInfo{IdleSeconds: snapshotv1.MinIdleSeconds}
}

// snapshotFor returns a snapshot for a request. If that fails, it responds itself.
func (h *handler) snapshotFor(w http.ResponseWriter, r *http.Request, withTCPInfo bool) (taken snapshot.Snapshot, ok bool) {
	ok = h.withoutDeadlines(w, r, func() (err error) {
		taken, err = h.Daemon.Snapshot(r.Context(), withTCPInfo)
		return err
	})
	if ok {
		const ratio = 2 // an answer of /connections takes less than half of the memory
		h.snapshots.setSize(taken.Size())
		h.gates.connections.setSize(taken.Size() / ratio)
	}
	return taken, ok
}

// withoutDeadlines runs collect without the server's timeouts, which are for slow clients and not for slow engines. It reports
// whether there is something to respond with. If collect fails, it responds itself.
func (h *handler) withoutDeadlines(w http.ResponseWriter, r *http.Request, collect func() error) bool {
	// The server keeps reading during a handler, so the read timeout would cancel the request's context.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Time{}) // fails in tests without a connection
	err := collect()
	_ = connection.SetWriteDeadline(time.Now().Add(writeTimeout))
	if r.Context().Err() != nil {
		return false // the client is gone
	}
	if err != nil {
		h.writeError(w, err)
	}
	return err == nil
}

// setIncomplete sets the header of incomplete containers, if there are any, and returns its value.
func setIncomplete(w http.ResponseWriter, containers []snapshot.Container) string {
	incomplete := incompleteNames(containers)
	if incomplete != "" {
		w.Header().Set(incompleteHeader, incomplete)
	}
	return incomplete
}

// incompleteNames returns the names of incomplete containers. If they are too long, it ends with how many are left out.
func incompleteNames(containers []snapshot.Container) string {
	const separator = ", "
	var names []string
	length, omitted := 0, 0
	for _, c := range containers {
		if len(c.Problems) == 0 {
			continue
		}
		name := cmp.Or(c.Name, c.ID)
		if length += len(name) + len(separator); length > maxIncompleteHeader {
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
