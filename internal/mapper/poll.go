package mapper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/PabloL007/outpost/internal/snapshot"
)

// Formats of answers.
const (
	formatSnapshot    = "snapshot"
	formatConnections = "connections" // of a daemon that knows no other
)

// shortest is how long an object of an answer is on average at least, in bytes: empty ones would take many times the
// memory of their text.
const shortest = 24

// maxSkew is how far a daemon's clock may be off before that is worth a word.
const maxSkew = time.Minute

// answer is what a daemon answered.
type answer struct {
	document  snapshot.Document
	from      netip.Addr // at which it was asked
	etag      string
	format    string
	remark    string // what is wrong beside
	unchanged bool   // since it was asked before; without a document
}

// client asks daemons.
type client struct {
	http   *http.Client
	memory *memory
}

func newClient(transport http.RoundTripper) *client {
	if transport == nil {
		transport = NewTransport(nil)
	}
	return &client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		memory: newMemory(maxAnswer, smallAnswer, longAtOnce, longPatience),
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// ask asks a daemon for its snapshot or, if it knows none, for its connections. last is what it answered before, without
// the document. The error is in words that a person understands.
func (c *client) ask(ctx context.Context, at address, last answer) (answer, error) {
	ctx = context.WithValue(ctx, certified{}, at.host)
	got, err := c.get(ctx, at.url+"/v1/snapshot", formatSnapshot, last)
	if _, none := errors.AsType[noSuchPathError](err); none { // it may have learnt it since
		return c.get(ctx, at.url+"/connections", formatConnections, last)
	}
	return got, err
}

// noSuchPathError is the answer 404.
type noSuchPathError struct{ path string }

func (e noSuchPathError) Error() string { return "it has no " + e.path }

func (c *client) get(ctx context.Context, url, format string, last answer) (got answer, err error) {
	var remote net.Addr
	started := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { remote = info.Conn.RemoteAddr() },
	}), http.MethodGet, url, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	if last.format == format && last.etag != "" {
		request.Header.Set("If-None-Match", last.etag)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, inWords(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	body := c.memory.reader(ctx, cancel, response.Body)
	defer body.release()
	switch {
	case response.StatusCode == http.StatusNotModified && request.Header.Get("If-None-Match") != "":
		last.unchanged = true
		return last, nil
	case response.StatusCode == http.StatusNotFound:
		return answer{}, noSuchPathError{request.URL.Path}
	case response.StatusCode/100 == 3:
		return answer{}, fmt.Errorf("it redirects to %.200q, which is not followed: give that address", response.Header.Get("Location"))
	case response.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("it answers %d %s%s", response.StatusCode, http.StatusText(response.StatusCode), reasonIn(body))
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "application/json" {
		return answer{}, fmt.Errorf("it answers %.100q, which is not JSON", response.Header.Get("Content-Type"))
	}
	document, err := decode(body, format)
	if err != nil {
		return answer{}, inWords(ctx, err)
	}
	got = answer{etag: response.Header.Get("ETag"), format: format}
	if format == formatSnapshot {
		got.remark = skew(document.TakenAt, started, time.Now())
	}
	got.document, got.from = document, addrOf(remote)
	return got, nil
}

// decode reads an answer to its end, before it looks at it: one that is too long is not worth the time.
func decode(body io.Reader, format string) (document snapshot.Document, err error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return document, err
	}
	if isHollow(text) {
		return document, errors.New("its answer is no answer of Outpost: it is made of nothing")
	}
	if format == formatConnections {
		var list []snapshot.Connections
		err := json.Unmarshal(text, &list)
		return documentOf(list), err
	}
	err = json.Unmarshal(text, &document)
	// The fields of another version may have other types.
	if _, odd := errors.AsType[*json.UnmarshalTypeError](err); (err == nil || odd && document.Version != 0) && document.Version != snapshot.Version {
		return document, fmt.Errorf("it answers in version %d of the snapshot, not %d", document.Version, snapshot.Version)
	}
	return document, err
}

// documentOf returns what a list of connections tells. A container's name stands for its ID; where it listens is told by
// the host's ends alone; which end of a connection is the client's is not.
func documentOf(list []snapshot.Connections) snapshot.Document {
	document := snapshot.Document{Version: snapshot.Version}
	for _, c := range list {
		container := snapshot.ContainerDocument{ID: c.Name, Name: c.Name, Image: c.Artefact}
		for _, endpoint := range c.Listening {
			container.Listening = append(container.Listening, snapshot.ListenerDocument{
				Endpoint: snapshot.Endpoint{Address: "0.0.0.0", Port: endpoint.Port}, Published: []snapshot.Endpoint{endpoint},
			})
			if addr, err := netip.ParseAddr(endpoint.Address); err == nil && !addr.IsUnspecified() {
				document.Host.Addresses = append(document.Host.Addresses, addr)
			}
		}
		for _, endpoint := range c.Established {
			container.Connections = append(container.Connections, snapshot.ConnectionDocument{Remote: endpoint, State: "ESTABLISHED"})
		}
		document.Containers = append(document.Containers, container)
	}
	return document
}

// skew says how far a clock is off that showed taken between two moments.
func skew(taken, started, ended time.Time) string {
	switch {
	case taken.After(ended.Add(maxSkew)):
		return fmt.Sprintf("its clock is %s ahead", taken.Sub(ended).Round(time.Minute))
	case taken.Before(started.Add(-maxSkew)):
		return fmt.Sprintf("its clock is %s behind", started.Sub(taken).Round(time.Minute))
	}
	return ""
}

func addrOf(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// reasonIn returns what an answer that is no success says of its reason, behind a colon; nothing if that cannot be read.
func reasonIn(body io.Reader) string {
	const longest = 4 << 10
	var told struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(body, longest)).Decode(&told); err != nil || told.Error == "" {
		return ""
	}
	return fmt.Sprintf(": %.200s", told.Error)
}

// inWords says what is wrong without what a person has no use for.
func inWords(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("its answer is no whole JSON: %w", err)
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("its answer is no answer of Outpost: %w", err)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("it did not answer in time")
	case errors.Is(err, context.Canceled): // by the reader of long answers
		return errors.New("its long answer came too slowly")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there")
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return errors.New("it broke off its answer")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok { // without the ports of the connection
		err = op.Err
	}
	return errors.New(strings.ToValidUTF8(fmt.Sprintf("%.300s", err.Error()), "?"))
}
