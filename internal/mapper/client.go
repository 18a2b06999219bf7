package mapper

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"time"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// Formats of responses.
const (
	formatSnapshot    = "snapshot"
	formatConnections = "connections" // of a daemon without /v1/snapshot
)

// maxSkew is the difference between a daemon's clock and the local one up to which there is no warning.
const maxSkew = time.Minute

// pollResult is a successful response of a daemon.
type pollResult struct {
	snapshot  snapshotv1.Snapshot
	from      netip.Addr // of the daemon
	etag      string
	format    string
	warning   string // a problem besides; empty without one
	unchanged bool   // since the previous poll; then snapshot is empty
}

// client fetches snapshots from daemons.
type client struct {
	http   *http.Client
	bodies *bodyLimiter
}

// newClient returns a client that reads bodies of up to maxBytes, or of maxBody if that is less or maxBytes is 0.
func newClient(transport http.RoundTripper, maxBytes int64) *client {
	if maxBytes == 0 || maxBytes > maxBody {
		maxBytes = maxBody
	}
	if transport == nil {
		transport = NewTransport(nil)
	}
	return &client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		bodies: newBodyLimiter(maxBytes, smallBody, maxLargeBodies, slowBodyTimeout),
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// fetch requests the snapshot of a daemon or, if the daemon has none, its connections. previous is the result of the previous
// poll. The error is a text for people.
func (c *client) fetch(ctx context.Context, from address, previous pollResult) (pollResult, error) {
	ctx = context.WithValue(ctx, serverNameKey{}, from.serverName)
	result, err := c.get(ctx, from.url+"/v1/snapshot", formatSnapshot, previous)
	if _, notFound := errors.AsType[notFoundError](err); notFound { // tried at each poll: the daemon may be upgraded meanwhile
		return c.get(ctx, from.url+"/connections", formatConnections, previous)
	}
	return result, err
}

// get makes one request. It sends the ETag of previous if that has the same format.
func (c *client) get(ctx context.Context, url, format string, previous pollResult) (pollResult, error) {
	etag := ""
	if previous.format == format {
		etag = previous.etag
	}
	started := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	response, from, err := c.send(ctx, url, etag)
	if err != nil {
		return pollResult{}, explain(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	body := c.bodies.reader(ctx, cancel, response.Body)
	defer body.release()
	if response.StatusCode == http.StatusNotModified && etag != "" {
		previous.unchanged = true
		return previous, nil
	}
	if err := checkResponse(response, body); err != nil {
		return pollResult{}, err
	}
	document, err := decode(body, format)
	if err != nil {
		return pollResult{}, explain(ctx, err)
	}
	result := pollResult{snapshot: document, from: from, etag: response.Header.Get("ETag"), format: format}
	if format == formatSnapshot {
		result.warning = skewWarning(document.TakenAt, started, time.Now())
	}
	return result, nil
}

// send sends a request, and returns the response and the address that it came from. An empty etag asks for any response.
func (c *client) send(ctx context.Context, url, etag string) (response *http.Response, from netip.Addr, err error) {
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { from = toAddr(info.Conn.RemoteAddr()) },
	}), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, from, err
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err = c.http.Do(request)
	return response, from, err
}

// checkResponse returns an error unless the response is 200 with JSON.
func checkResponse(response *http.Response, body *limitedBody) error {
	switch {
	case response.StatusCode == http.StatusNotFound:
		return notFoundError{response.Request.URL.Path}
	case response.StatusCode/100 == 3:
		return fmt.Errorf("redirects to %.200q: redirects are not followed; use that address as the target", response.Header.Get("Location"))
	case response.StatusCode != http.StatusOK:
		text := fmt.Sprintf("responds %d %s", response.StatusCode, http.StatusText(response.StatusCode))
		if reason := ReadReason(body); reason != "" {
			text += fmt.Sprintf(": %.400s", reason)
		}
		return errors.New(text)
	}
	if mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); mediaType != "application/json" {
		return fmt.Errorf("responds with content type %.100q instead of JSON", response.Header.Get("Content-Type"))
	}
	return nil
}

// skewWarning returns a warning if a clock that showed takenAt between started and ended is off by more than maxSkew.
func skewWarning(takenAt, started, ended time.Time) string {
	switch {
	case takenAt.After(ended.Add(maxSkew)):
		return fmt.Sprintf("its clock is %s ahead", takenAt.Sub(ended).Round(time.Minute))
	case takenAt.Before(started.Add(-maxSkew)):
		return fmt.Sprintf("its clock is %s behind", started.Sub(takenAt).Round(time.Minute))
	}
	return ""
}

func toAddr(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
