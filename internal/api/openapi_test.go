package api_test

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/metrics"
	"github.com/PabloL007/outpost/internal/snapshot"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
	"github.com/PabloL007/outpost/internal/socket"
)

// fakeDaemon returns a fixed snapshot or error.
type fakeDaemon struct {
	taken  snapshot.Snapshot
	err    error
	panics bool
}

func (d fakeDaemon) Snapshot(ctx context.Context, _ bool) (snapshot.Snapshot, error) {
	return d.taken, d.Ready(ctx)
}

func (d fakeDaemon) Ready(context.Context) error {
	if d.panics {
		panic("broken")
	}
	return d.err
}

// everything returns a snapshot with each field, and one container without all optional fields.
func everything() fakeDaemon {
	at, addr := netip.MustParseAddrPort, netip.MustParseAddr
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	flow := snapshot.Flow{
		FlowKey: snapshot.FlowKey{Local: addr("192.0.2.130"), Remote: addr("192.0.2.140"), Port: 5432}, Opened: math.MaxUint64, Refused: 1, Unanswered: 2, Recent: 3, RecentFailed: 4,
		Sent: 5, Received: math.MaxUint64, Retransmits: 6, RTT: 7 * time.Microsecond, MinRTT: 8 * time.Microsecond,
	}
	udpFlow := snapshot.Flow{FlowKey: snapshot.FlowKey{Inbound: true, Local: addr("2001:db8:1::2"), Remote: addr("2001:db8::9"), Port: socket.NewPort(1, socket.UDP)}}
	return fakeDaemon{taken: snapshot.Snapshot{
		Host: snapshot.Host{
			Counting: snapshot.Counting{Scope: snapshotv1.CountAll, Since: time.Date(2026, 1, 2, 3, 0, 0, 0, time.FixedZone("", 3600)), Losses: 1, Unattributed: math.MaxUint64},
			Flows:    []snapshot.HostFlow{{Flow: flow}, {Flow: flow, OwnerUnknown: true}, {Flow: udpFlow}},
			Translations: snapshot.Translations{Missing: "1 tracked connection cannot be decoded", List: []snapshot.Translation{
				{Client: at("192.0.2.9:40000"), Dialled: at("192.0.2.1:8080"), Server: at("192.0.2.130:80"), Source: at("192.0.2.9:40000")},
				{Protocol: socket.UDP, Client: at("[2001:db8:1::2]:1"), Dialled: at("[2001:db8::9]:2"), Server: at("[2001:db8::9]:2"), Source: at("[2001:db8::1]:65535")},
			}},
			BootID: "0b7c2b29-9c2f-4a86-8d3a-0d1d2f3c4b5a", InstanceID: "IT",
			Host:      container.Host{ID: "5a1e0c9e-0000-0000-0000-000000000000", Name: "host", Version: "29.0.0", APIVersion: "1.52"},
			Addresses: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}, AllAddresses: true,
			Sockets: &snapshot.HostSockets{
				Method: collect.Procfs, Incomplete: true,
				Listeners: []snapshot.HostListener{{Local: at("0.0.0.0:22")}, {Local: at("[::]:9100"), OwnerUnknown: true}, {Local: at("0.0.0.0:53"), Protocol: socket.UDP}},
				Connections: []snapshot.HostConnection{
					{Connection: snapshot.Connection{Local: at("192.0.2.129:40000"), Remote: at("192.0.2.140:53"), Protocol: socket.UDP, State: socket.Established}},
					{Connection: snapshot.Connection{
						Local: at("192.0.2.129:40000"), Remote: at("192.0.2.130:80"), State: socket.Established, Process: "docker-proxy",
						Info: &socket.TCPInfo{Idle: time.Minute}, DialledBy: socket.LocalEnd,
					}},
					{OwnerUnknown: true, Connection: snapshot.Connection{
						Local: at("[2001:db8::1]:80"), Remote: at("[2001:db8::9]:40000"), Inbound: true, State: socket.TimeWait,
						ClosedAt: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
					}},
				},
			},
			Gateways: []netip.Addr{addr("192.0.2.129"), addr("2001:db8:1::1")},
		},
		Networks: []container.NetworkConfig{
			{ID: id("1"), Name: "shop_default", Driver: "bridge"},
			{ID: id("2"), Name: "mesh", Driver: "overlay", LoadBalancer: addr("10.0.1.6"), Services: []container.Service{
				{Name: "web", VirtualAddr: addr("10.0.1.2"), Ports: []container.ServicePort{{Published: 8081, Target: 8080}}, Tasks: []netip.Addr{addr("10.0.1.3")}},
				{Name: "dns round robin"},
			}},
			{ID: id("3"), Name: "remote", Driver: "overlay", Hosts: []container.SwarmHost{{Addr: addr("192.0.2.2"), LoadBalancer: addr("10.0.2.6")}}},
		},
		TakenAt:  time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
		Duration: 1234 * time.Microsecond,
		Containers: []snapshot.Container{{
			ID: id("a"), Name: "/web", Image: "shop/web:1", Project: "shop", Service: "web", NetworkMode: "shop_default", Namespace: id("a"),
			State: container.Running, Health: container.Healthy, Restarts: 2, HostNetwork: true, EngineSocket: true,
			StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)), Exposed: []socket.Port{80, 65535, socket.NewPort(53, socket.UDP)},
			Bindings:  []container.Binding{{ContainerPort: 80, Host: at("0.0.0.0:8080")}, {ContainerPort: socket.NewPort(53, socket.UDP), Host: at("0.0.0.0:53")}},
			Addresses: []netip.Addr{addr("192.0.2.130"), addr("2001:db8:1::2"), addr("fe80::1")},
			Networks: []container.Network{{
				ID: id("1"), Name: "shop_default",
				Addresses: []netip.Addr{addr("192.0.2.130"), addr("2001:db8:1::2")},
				Gateways:  []netip.Addr{addr("192.0.2.129"), addr("2001:db8:1::1")},
			}, {ID: "3o6hnszk8tqkvrtx1h4q1t0iq", Name: "without addresses"}},
			Method: collect.Sockdiag,
			Listeners: []snapshot.Listener{
				{Local: at("127.0.0.1:6060"), Process: "web"},
				{Local: at("0.0.0.0:53"), Protocol: socket.UDP, Published: []netip.AddrPort{at("0.0.0.0:53")}},
				{Local: at("[::]:80"), Published: []netip.AddrPort{at("0.0.0.0:65535"), at("[::]:1")}, Process: "web"},
			},
			Connections: []snapshot.Connection{
				{
					Local: at("192.0.2.130:80"), Remote: at("192.0.2.131:40000"), Inbound: true, State: socket.Established, Process: "web",
					DialledBy: socket.RemoteEnd, Info: &socket.TCPInfo{RTT: 1500 * time.Microsecond, Sent: math.MaxUint64, Idle: 1999 * time.Millisecond},
				},
				{Local: at("[2001:db8:1::2]:80"), Remote: at("[2001:db8::9]:40000"), Inbound: true, State: socket.TimeWait, ClosedAt: time.Date(2026, 1, 2, 4, 4, 0, 0, time.FixedZone("", 3600))},
				{Local: at("192.0.2.130:40001"), Remote: at("192.0.2.140:5432"), State: socket.Established, Info: &socket.TCPInfo{}},
				{Local: at("192.0.2.130:40001"), Remote: at("192.0.2.140:53"), Protocol: socket.UDP, State: socket.Established},
			},
			Attempts:    []snapshot.Attempt{{Local: addr("192.0.2.130"), Remote: at("192.0.2.150:5432"), Count: 3}, {Local: addr("2001:db8:1::2"), Remote: at("[2001:db8::5]:80"), Count: 1}},
			Flows:       []snapshot.Flow{flow, udpFlow},
			Listening:   []snapshot.Endpoint{{AddrPort: at("192.0.2.1:65535")}, {AddrPort: at("[2001:db8::1]:1")}, {AddrPort: at("[2001:db8::1]:1"), Protocol: socket.UDP}},
			Established: []snapshot.Endpoint{{AddrPort: at("192.0.2.131:40000")}, {AddrPort: at("192.0.2.140:53"), Protocol: socket.UDP}, {AddrPort: at("192.0.2.140:5432")}},
		}, {
			ID: id("b"), Name: "/agent", Image: "agent", NetworkMode: "host", Namespace: "host", Method: collect.Procfs,
			Unused:    []collect.UnusedMethod{{Method: collect.Sockdiag, Problem: collect.Problem{Reason: "CAP_SYS_ADMIN is missing", Detail: "EPERM"}}},
			Problems:  []collect.Problem{{Reason: "rows cannot be decoded", Detail: "1 of 2"}, {Reason: "denied"}},
			Listeners: []snapshot.Listener{{Local: at("0.0.0.0:9100")}},
			Listening: []snapshot.Endpoint{{AddrPort: at("0.0.0.0:9100")}},
		}, {
			ID: id("c"), Name: "/db", Image: "db", NetworkMode: "none", Namespace: id("c"), Method: collect.Exec,
			Unused: []collect.UnusedMethod{
				{Method: collect.Sockdiag, Problem: collect.Problem{Reason: "its process cannot be seen"}},
				{Method: collect.Procfs, Problem: collect.Problem{Reason: "its process cannot be seen"}},
			},
		}, {
			ID: id("d"), Name: "/stuck", Image: "stuck", NetworkMode: "bridge", Method: collect.None,
			Problems: []collect.Problem{{Reason: "inspect failed"}},
		}},
	}}
}

func (d fakeDaemon) Graph(ctx context.Context) (graph.Graph, error) {
	addr, anywhere := netip.MustParseAddr, snapshotv1.Endpoint{Address: "0.0.0.0", Port: 80}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	g := graph.Graph{Version: graph.Version, Role: graph.RoleDaemon, WindowSeconds: 3600, IntervalSeconds: 1.5, Nodes: []graph.Node{}, Links: []graph.Link{}, Targets: []graph.Target{}}
	if len(d.taken.Containers) > 0 {
		g.DataSince = noon
		g.Nodes = []graph.Node{{
			ID: "container/h/a", Kind: graph.KindContainer, Host: "h", Name: "web", Container: "a", Image: "web:1", Project: "shop", Service: "web",
			Reason: "denied", Stale: true, Past: true, FirstSeen: noon, LastSeen: noon, New: true, Gone: true,
			Predecessors: []graph.Predecessor{{Container: "b", Name: "web", Image: "web:0", LastSeen: noon}}, Details: &graph.Details{
				State: "paused", Health: "starting", Restarts: 1, StartedAt: &noon, HostNetwork: true, EngineSocket: true,
				Method: collect.Exec, Status: snapshotv1.StatusPartial,
				Unused:    []snapshotv1.UnusedMethod{{Method: collect.Procfs, Reason: "its process cannot be seen"}},
				Networks:  []snapshotv1.Network{{ID: "n", Name: "net", Driver: "bridge", Addresses: []netip.Addr{addr("10.0.0.2")}, Gateways: []netip.Addr{addr("10.0.0.1")}}},
				Listening: []snapshotv1.Listener{{Endpoint: anywhere, Protocol: socket.UDP, Published: []snapshotv1.Endpoint{anywhere}, Process: "nginx"}},
			},
		}, {ID: "ambiguous/10.0.0.1", Kind: graph.KindAmbiguous, Name: "10.0.0.1", Candidates: []string{"h"}}}
		g.Links = []graph.Link{{
			Client: "container/h/a", Server: "ambiguous/10.0.0.1", Port: 80, Protocol: socket.UDP, Via: graph.ViaHost, Evidence: graph.EvidenceClient, Translation: graph.TranslationProxy, Connections: 2, Closed: 1, Attempts: 3, Unanswered: true,
			Measured: &graph.Measured{RTTMicroseconds: 1, BytesSent: math.MaxUint64, BytesReceived: 1, IdleSeconds: 61},
			Counters: &graph.Counters{Opened: math.MaxUint64, Failed: 2, Refused: 1, RTTMicroseconds: 2, MinRTTMicroseconds: 1}, Live: true, New: true, Gone: true, CountsUnknown: true, DirectionUnknown: true,
			FirstSeen: noon, LastSeen: time.Now().UTC(),
		}}
		g.ContainerLinks = []graph.ContainerLink{{Label: "Logs", URL: "https://logs.example/{name}"}, {Label: "Runbook", URL: "/runbooks/{service}"}}
		g.Targets = []graph.Target{{
			Target: "h:9057", Host: "h", State: graph.StateStale, Reason: "nothing listens there", Format: "snapshot", LastAnswer: noon, Unattributed: 1,
		}}
	}
	return g, d.Ready(ctx)
}

// nothing returns a snapshot of an unknown host without containers.
func nothing() fakeDaemon {
	return fakeDaemon{taken: snapshot.Snapshot{TakenAt: time.Unix(0, 0), Duration: time.Millisecond}}
}

func newHandler(fakeDaemon fakeDaemon) http.Handler {
	metricsHandler := metrics.New("1.2.3", []string{"list"}).Handler()
	if fakeDaemon.panics {
		metricsHandler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") })
	}
	return api.New(api.Options{Daemon: fakeDaemon, Map: fakeDaemon, Metrics: metricsHandler, Version: "1.2.3", Log: zerolog.Nop()})
}

// description is the OpenAPI document that the handler serves.
type description struct {
	document   *v3.Document
	validator  validator.Validator
	components map[string]map[string]schema
}

// schema is a component of the document. Components other than schemas have only a description.
type schema struct {
	Ref                  string `json:"$ref"`
	Description          string
	Type                 string
	AdditionalProperties *bool
	Properties           map[string]schema
	Items                *schema
}

func describe(t *testing.T) description {
	t.Helper()
	raw := exchange(t, newHandler(nothing()), "GET", "/openapi.json").body
	document, err := libopenapi.NewDocument(raw)
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document,
		config.WithFormatAssertions(), config.WithStandardBodyDecoders(), config.WithRejectUnsupportedBodyContent())
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Release)
	d := description{document: &model.Model, validator: v}
	if err := json.Unmarshal(raw, &struct{ Components any }{&d.components}); err != nil {
		t.Fatal(err)
	}
	return d
}

// exchanged is a request and the response to it.
type exchanged struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte
}

// exchange sends a request to handler over a real connection, so that the server.s own handling applies. Headers are given as
// name, value, …
func exchange(t *testing.T, handler http.Handler, method, path string, headers ...string) exchanged {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	return exchangeAt(t, server.URL, method, path, headers...)
}

// exchangeAt is exchange with a running server.
func exchangeAt(t *testing.T, url, method, path string, headers ...string) exchanged {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	request.Host = request.Header.Get("Host")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return exchanged{request, response.StatusCode, response.Header, body}
}

// differs returns how an exchange differs from the document, or "" if it does not.
func (d description) differs(a exchanged) string {
	received := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body))}
	if ok, errs := d.validator.ValidateHttpRequestResponse(a.request, received); !ok {
		return errorText(errs)
	}
	known := slices.Clone(generalHeaders)
	described := d.operation(a.request).Responses.Codes
	response := described.GetOrZero(strconv.Itoa(a.status))
	if response == nil {
		response = described.GetOrZero(fmt.Sprintf("%dXX", a.status/100))
	}
	for name := range response.Headers.FromOldest() {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range a.header {
		if !slices.Contains(known, name) {
			return "header " + name + " is not described"
		}
	}
	return ""
}

// generalHeaders are response headers that the document does not name for each response.
var generalHeaders = []string{
	"Content-Type", "Content-Length", "Date", "Vary", "Connection", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy", "Content-Security-Policy",
}

func (d description) operation(request *http.Request) *v3.Operation {
	item := d.document.Paths.PathItems.GetOrZero(template(request.URL.Path))
	if request.Method == http.MethodHead {
		return item.Head
	}
	return item.Get
}

// template returns the path template of a path.
func template(requested string) string {
	if dir, file := path.Split(requested); strings.HasPrefix(dir, "/map/") && file != "" {
		return dir + "{file}"
	}
	return requested
}

func errorText(errs []*validation.ValidationError) string {
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Message+": "+err.Reason)
		for _, failure := range err.SchemaValidationErrors {
			texts = append(texts, strings.Join(failure.InstancePath, ".")+": "+failure.Reason)
		}
	}
	return strings.Join(texts, "; ")
}

// operations returns the operations of the document, such as "GET /path", and each of them with each of its statuses.
func (d description) operations() (operations, statuses []string) {
	for path, item := range d.document.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			name := strings.ToUpper(method) + " " + path
			operations = append(operations, name)
			for status := range operation.Responses.Codes.FromOldest() {
				statuses = append(statuses, name+" "+status)
			}
		}
	}
	slices.Sort(operations)
	slices.Sort(statuses)
	return operations, statuses
}

func TestDescriptionIsValid(t *testing.T) {
	d := describe(t)
	if ok, errs := d.validator.ValidateDocument(); !ok {
		t.Error(errorText(errs))
	}
	if d.document.Version != "3.1.0" {
		t.Errorf("OpenAPI %s", d.document.Version)
	}
	for kind, components := range d.components {
		for name, component := range components {
			eachDescribed(t, kind+"."+name, component)
		}
	}
}

// eachDescribed fails for each schema or property without a description.
func eachDescribed(t *testing.T, at string, is schema) {
	t.Helper()
	if is.Description == "" && is.Ref == "" {
		t.Errorf("%s: no description", at)
	}
	if is.Type == "object" && (is.AdditionalProperties == nil || *is.AdditionalProperties) {
		t.Errorf("%s: allows any field", at)
	}
	for name, property := range is.Properties {
		eachDescribed(t, at+"."+name, property)
	}
}

func TestRoutesAreDescribed(t *testing.T) {
	routes, ok := newHandler(nothing()).(chi.Routes)
	if !ok {
		t.Fatal("the handler has no routes")
	}
	var served []string
	err := chi.Walk(routes, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		served = append(served, method+" "+path)
		if method == http.MethodGet {
			served = append(served, "HEAD "+path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Linters reject a path that ends in a slash. The page is described as /map/index.html.
	served = slices.DeleteFunc(served, func(route string) bool { return strings.HasSuffix(route, " /map/") })
	slices.Sort(served)
	operations, _ := describe(t).operations()
	if diff := cmp.Diff(served, operations); diff != "" {
		t.Errorf("(-served +described):\n%s", diff)
	}
}

func TestResponsesMatchTheDescription(t *testing.T) {
	var (
		graphs     = []string{"/v1/graph", "/v1/graph.dot", "/v1/graph.mmd", "/v1/graph.csv", "/api/graph/data"}
		tagged     = append([]string{"/connections", "/", "/index", "/v1/snapshot"}, graphs...)
		collecting = append([]string{"/readyz"}, tagged...)
		page       = []string{"/map/index.html", "/map/main.js", "/map/vendor/dagre-3.1.3.esm.js"}
		all        = append([]string{"/metrics", "/openapi.json", "/healthz", "/version", "/api/health", "/api/graph/fields"}, slices.Concat(page, collecting)...)
	)
	d := describe(t)
	seen := make(map[string]bool)
	var wrong []string
	for _, path := range graphs {
		wrong = append(wrong, path+"?since=yesterday", path+"?q=color:red")
	}
	for _, test := range []struct {
		name       string
		fakeDaemon fakeDaemon
		headers    []string
		paths      []string
		status     int
	}{
		{name: "everything", fakeDaemon: everything(), paths: all, status: 200},
		{name: "nothing", fakeDaemon: nothing(), paths: all, status: 200},
		{name: "condition", fakeDaemon: everything(), headers: []string{"If-None-Match", "*"}, paths: slices.Concat(tagged, page), status: 304},
		{name: "browser", fakeDaemon: everything(), headers: []string{"Accept", "text/html,application/xml;q=0.9"}, paths: []string{"/"}, status: 200},
		{name: "browser with a view", fakeDaemon: everything(), headers: []string{"Accept", "text/html"}, paths: []string{"/?group=host"}, status: 200},
		{name: "no file", fakeDaemon: everything(), paths: []string{"/map/other.js", "/map/vendor/other.js"}, status: 404},
		{name: "another condition", fakeDaemon: everything(), headers: []string{"If-None-Match", `W/"other"`}, paths: tagged, status: 200},
		{name: "unreachable", fakeDaemon: fakeDaemon{err: container.ErrUnreachable}, paths: collecting, status: 503},
		{name: "forbidden", fakeDaemon: fakeDaemon{err: container.ErrForbidden}, paths: collecting, status: 503},
		{name: "denied", fakeDaemon: fakeDaemon{err: &container.RemedyError{Err: container.ErrForbidden, Remedy: "permit it"}}, paths: collecting, status: 503},
		{name: "slow", fakeDaemon: fakeDaemon{err: context.DeadlineExceeded}, paths: collecting, status: 503},
		{name: "panic", fakeDaemon: fakeDaemon{panics: true}, paths: append([]string{"/metrics"}, collecting...), status: 500},
		{name: "wrong", fakeDaemon: everything(), paths: wrong, status: 400},
		{name: "views", fakeDaemon: everything(), status: 200, paths: []string{
			"/v1/graph?group=service&external=group&since=1h", "/v1/graph?container=web&depth=2&host=a&project=b", "/v1/graph.csv?external=hide",
			"/v1/graph?image=web:1&node=container/h/a&port=80&state=live&since=1h&newSince=2026-01-02T15:04:05Z&unlinked=hide",
			"/v1/graph?q=project:shop+-is:monitoring+port:80-443", "/v1/graph?protocol=udp&dns=show",
			"/v1/graph.dot?at=2026-01-02T15:04:05Z&open=host/h&open=host/i&closed=project/shop&group=host&newSince=1h",
		}},
		{name: "filters", fakeDaemon: everything(), status: 200, paths: []string{
			"/connections?protocol=tcp", "/connections?protocol=udp", "/index?protocol=all", "/?protocol=all",
			"/v1/snapshot?container=web", "/v1/snapshot?container=bbb&project=", "/v1/snapshot?project=shop", "/v1/snapshot?container=none&project=none",
		}},
	} {
		for _, path := range test.paths {
			for _, method := range []string{"GET", "HEAD"} {
				got := exchange(t, newHandler(test.fakeDaemon), method, path, test.headers...)
				if got.status != test.status {
					t.Errorf("%s: %s %s: %d, want %d", test.name, method, path, got.status, test.status)
				}
				if text := d.differs(got); text != "" {
					t.Errorf("%s: %s %s: %s\n%.1000s", test.name, method, path, text, got.body)
				}
				seen[fmt.Sprintf("%s %s %d", method, template(got.request.URL.Path), got.status)] = true
			}
		}
	}
	_, statuses := d.operations()
	statuses = slices.DeleteFunc(statuses, isRefusal)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(seen)), statuses); diff != "" {
		t.Errorf("(-seen +described):\n%s", diff)
	}
}

// isRefusal reports whether an operation with a status, such as "GET /path 4XX", is a refusal of a guard or mapper.
func isRefusal(status string) bool {
	return strings.HasSuffix(status, " 4XX") || strings.HasSuffix(status, " 421")
}

// guarded starts a server behind a guard and returns its URL.
func guarded(t *testing.T, handler http.Handler, options access.Options) (url string) {
	t.Helper()
	options.Log = zerolog.Nop()
	guard, err := access.New(options)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	served := make(chan error, 1)
	go func() { served <- guard.Serve(server.Listener, api.NewServer(handler)) }()
	t.Cleanup(func() {
		_ = server.Listener.Close()
		<-served //nolint:errcheck // the error of the closed listener
	})
	return "http://" + server.Listener.Addr().String()
}

func TestRefusalsMatchTheDescription(t *testing.T) {
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open := []string{"/healthz", "/readyz", "/api/health"}
	d := describe(t)
	operations, _ := d.operations()
	for _, test := range []struct {
		name    string
		options access.Options
		handler http.Handler
		host    string
		paths   []string // nil for all that are not open
		status  int
	}{
		{name: "token", options: access.Options{TokenFile: file("token", "a-token-of-more-than-16-characters\n")}, status: 401},
		{name: "users", options: access.Options{WebConfig: file("web.yml", "basic_auth_users: {alice: $2y$04$wuF4MGbLxCU1VHYFn5YJjuXS5H1MzeFYgu3b8mU7sGVVSJlCVVLtO}\n")}, status: 401},
		{name: "rate limit", options: access.Options{WebConfig: file("web.yml", "rate_limit: {interval: 1h, burst: 0}\n")}, status: 429},
		{name: "host", host: "absent.example", status: 421},
		{name: "host at open paths", host: "absent.example", paths: open, status: 421},
		{name: "mapper", handler: api.New(api.Options{Map: everything(), Log: zerolog.Nop()}), paths: []string{"/", "/connections", "/index", "/v1/snapshot"}, status: 404},
	} {
		if test.handler == nil {
			test.handler = newHandler(everything())
		}
		url := guarded(t, test.handler, test.options)
		for _, operation := range operations {
			method, path, _ := strings.Cut(operation, " ")
			if test.paths != nil && !slices.Contains(test.paths, path) || test.paths == nil && slices.Contains(open, path) {
				continue
			}
			got := exchangeAt(t, url, method, strings.ReplaceAll(path, "{file}", "main.js"), "Host", test.host)
			if got.status != test.status {
				t.Errorf("%s: %s: %d, want %d", test.name, operation, got.status, test.status)
			}
			if text := d.differs(got); text != "" {
				t.Errorf("%s: %s: %s\n%.1000s", test.name, operation, text, got.body)
			}
		}
	}
}

// The 429 of a client that asks too often has the time of the next request.
func TestTooManyRequestsMatchTheDescription(t *testing.T) {
	d := describe(t)
	url := guarded(t, newHandler(everything()), access.Options{Rate: 1})
	for range 100 {
		got := exchangeAt(t, url, "GET", "/version")
		if text := d.differs(got); text != "" {
			t.Fatalf("%d: %s", got.status, text)
		}
		if got.status == http.StatusTooManyRequests {
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Error("no request is refused")
}

func TestFailingMetricsAreDescribed(t *testing.T) {
	failing := prometheus.NewRegistry()
	failing.MustRegister(prometheus.CollectorFunc(func(metrics chan<- prometheus.Metric) {
		metrics <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "Broken.", nil, nil), errors.New("broken"))
	}))
	handler := api.New(api.Options{Daemon: nothing(), Metrics: promhttp.HandlerFor(failing, promhttp.HandlerOpts{}), Log: zerolog.Nop()})
	got := exchange(t, handler, "GET", "/metrics")
	if text := describe(t).differs(got); text != "" || got.status != 500 {
		t.Errorf("%d: %s", got.status, text)
	}
}

func TestOtherPathsAndMethodsGetTheDescribedError(t *testing.T) {
	failure := describe(t).document.Components.Schemas.GetOrZero("Error").Schema()
	v := schema_validation.NewSchemaValidator()
	for _, test := range []struct {
		method, path string
		status       int
	}{{"GET", "/nothing", 404}, {"GET", "/v1/snapshot/", 404}, {"POST", "/v1/snapshot", 405}, {"DELETE", "/metrics", 405}} {
		got := exchange(t, newHandler(everything()), test.method, test.path)
		ok, errs := v.ValidateSchemaBytes(failure, got.body)
		if !ok || got.status != test.status || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, errorText(errs))
		}
	}
}

// optional has the optional fields.
var optional = []string{
	"bootId", "driver", "gateways", "overlays", "loadBalancer", "virtualAddress", "instanceId",
	"project", "service", "namespace", "reason", "process", "measured", "counters", "host", "container", "image", "candidates", "stale", "past", "format",
	"lastAnswer", "displayName", "details", "new", "countsUnknown", "directionUnknown", "bindings", "startedAt", "exposed", "addresses", "dialled", "closedAt", "sockets", "protocol", "exposedUdp",
	"incomplete", "ownerUnknown", "state", "health", "restarts", "hostNetwork", "engineSocket",
	"containerLinks", "predecessors", "dataSince", "firstSeen", "lastSeen", "gone", "idleSeconds", "attempts", "unanswered",
	"translations", "translationsMissing", "translation", "counting", "flows", "refused", "recent", "recentFailed", "bytesSent", "bytesReceived", "retransmits", "rttMicroseconds", "minRttMicroseconds",
}

// required has the required fields with the name of an optional one.
var required = []string{
	"/v1/snapshot.host", "/v1/snapshot.containers[].image", "/v1/snapshot.host.addresses", "/v1/snapshot.containers[].networks[].addresses",
	"/v1/snapshot.containers[].networks[].gateways", "/v1/graph.nodes[].details.networks[].addresses", "/v1/graph.nodes[].details.networks[].gateways",
	"/v1/snapshot.containers[].connections[].state", "/v1/snapshot.host.sockets.connections[].state", "/v1/graph.targets[].state",
	"/v1/graph.links[].firstSeen", "/v1/graph.links[].lastSeen", "/v1/snapshot.host.translations[].dialled",
	"/v1/snapshot.containers[].connections[].measured.rttMicroseconds", "/v1/snapshot.containers[].connections[].measured.bytesSent",
	"/v1/snapshot.containers[].connections[].measured.bytesReceived", "/v1/snapshot.host.sockets.connections[].measured.rttMicroseconds",
	"/v1/snapshot.host.sockets.connections[].measured.bytesSent", "/v1/snapshot.host.sockets.connections[].measured.bytesReceived",
	"/v1/graph.links[].measured.rttMicroseconds", "/v1/graph.links[].measured.bytesSent", "/v1/graph.links[].measured.bytesReceived",
	"/v1/graph.links[].counters.refused", "/v1/graph.links[].counters.bytesSent", "/v1/graph.links[].counters.bytesReceived",
	"/v1/graph.links[].counters.retransmits", "/v1/graph.links[].counters.rttMicroseconds", "/v1/graph.links[].counters.minRttMicroseconds",
}

var invalidAddresses = []any{"", "localhost", "192.0.2.300", "192.0.2", "::ffff:192.0.2.1", "2001:DB8::1", "2001:db8::1::", "fe80::1%eth0"}

// invalidValues has invalid values of the right type for each field.
var invalidValues = map[string][]any{
	"port":                {70000, 65536, 0, -1, 80.5},
	"address":             invalidAddresses,
	"addresses":           invalidAddresses,
	"gateways":            invalidAddresses,
	"version":             {0, 2, ""},
	"takenAt":             {"", "yesterday", "2026-01-02", "2026-01-02T03:04:05+01:00"},
	"durationMs":          {-1},
	"startedAt":           {"", "yesterday", "2026-01-02T03:04:05+01:00"},
	"closedAt":            {"", "2026-01-02", "2026-01-02T03:04:05+01:00"},
	"health":              {"", "none"},
	"restarts":            {-1, 0, 0.5},
	"hostNetwork":         {false},
	"engineSocket":        {false},
	"label":               {""},
	"url":                 {"", "javascript:alert(1)", "logs"},
	"exposed":             {70000, 0, -1, 80.5},
	"exposedUdp":          {70000, 0, -1, 80.5},
	"protocol":            {"", "tcp", "sctp"},
	"ownerUnknown":        {false},
	"incomplete":          {false},
	"method":              {"", "netlink"},
	"status":              {"", "good"},
	"direction":           {"", "both"},
	"state":               {"", "LISTEN", "established"},
	"rttMicroseconds":     {-1, 0.5},
	"idleSeconds":         {-1, 0, 0.5},
	"attempts":            {-1, 0, 0.5},
	"count":               {-1, 0, 0.5},
	"localAddress":        {"", "localhost", "192.0.2"},
	"unanswered":          {false},
	"kind":                {"", "planet"},
	"via":                 {"", "post"},
	"evidence":            {"", "none"},
	"translation":         {"", "none"},
	"translationsMissing": {""},
	"connections":         {-1, 0.5},
	"closed":              {-1, 0.5},
	"forgotten":           {-1, 0.5},
	"windowSeconds":       {-1, 0, 0.5},
	"intervalSeconds":     {-1},
	"dataSince":           {"", "yesterday", "2026-01-02T03:04:05+01:00"},
	"role":                {"", "other"},
	"unattributed":        {-1, 0.5},
	"format":              {"", "html"},
	"bytesSent":           {-1, 0.5},
	"bytesReceived":       {-1, 0.5},
	"since":               {"", "yesterday", "2026-01-02T03:04:05+01:00"},
	"scope":               {"", "some"},
	"losses":              {-1, 0.5},
	"opened":              {-1, 0.5},
	"refused":             {-1, 0.5},
	"recent":              {-1, 0, 0.5},
	"recentFailed":        {-1, 0, 0.5},
	"retransmits":         {-1, 0.5},
	"remoteAddress":       {"", "localhost", "192.0.2"},
	"reason":              {""},
	"namespace":           {""},
	"process":             {""},
	"project":             {""},
	"service":             {""},
	"error":               {""},
}

// eachInvalid sets the value at a path to each invalid value in turn and calls try with a description.
func eachInvalid(at string, value any, set func(any), try func(what string)) {
	name := strings.TrimSuffix(at[strings.LastIndex(at, ".")+1:], "[]")
	another := any(true) // of another type
	if _, boolean := value.(bool); boolean {
		another = "true"
	}
	for _, invalid := range append([]any{nil, another}, invalidValues[name]...) {
		set(invalid)
		try(fmt.Sprintf("%s is %#v", at, invalid))
	}
	set(value)
	eachInvalidIn(at, value, try)
}

// eachInvalidIn does the same for everything in the value.
func eachInvalidIn(at string, value any, try func(what string)) {
	switch value := value.(type) {
	case map[string]any:
		value["surplus"] = "text"
		try(at + " has an unknown field")
		delete(value, "surplus")
		for name, field := range maps.Clone(value) {
			if !slices.Contains(optional, name) || slices.Contains(required, at+"."+name) {
				delete(value, name)
				try(at + " has no " + name)
			}
			eachInvalid(at+"."+name, field, func(v any) { value[name] = v }, try)
		}
	case []any:
		for i, item := range value {
			eachInvalid(at+"[]", item, func(v any) { value[i] = v }, try)
		}
	}
}

func TestInvalidResponsesAreRejected(t *testing.T) {
	d := describe(t)
	for _, test := range []struct {
		path       string
		fakeDaemon fakeDaemon
	}{
		{"/connections?protocol=all", everything()},
		{"/v1/snapshot", everything()},
		{"/v1/graph", everything()},
		{"/api/graph/data", everything()},
		{"/api/graph/fields", nothing()},
		{"/v1/snapshot", fakeDaemon{err: container.ErrUnreachable}},
		{"/healthz", nothing()},
		{"/version", nothing()},
	} {
		got := exchange(t, newHandler(test.fakeDaemon), "GET", test.path)
		document := decode(t, got.body)
		differs := func() string {
			var err error
			if got.body, err = json.Marshal(document); err != nil {
				t.Fatal(err)
			}
			return d.differs(got)
		}
		if text := differs(); text != "" {
			t.Fatalf("%s: %s", test.path, text)
		}
		tried := 0
		eachInvalidIn(test.path, document, func(what string) {
			tried++
			if differs() == "" {
				t.Errorf("accepted: %s", what)
			}
		})
		if text := differs(); text != "" || tried == 0 {
			t.Errorf("%s after %d undone changes: %s", test.path, tried, text)
		}
	}
}

func TestInvalidHeadersAreRejected(t *testing.T) {
	d := describe(t)
	for what, spoil := range map[string]func(*exchanged){
		"another status":        func(a *exchanged) { a.status = http.StatusTeapot },
		"another type":          func(a *exchanged) { a.header.Set("Content-Type", "text/html") },
		"no ETag":               func(a *exchanged) { a.header.Del("ETag") },
		"a strong ETag":         func(a *exchanged) { a.header.Set("ETag", `"0123456789012345678901"`) },
		"another Cache-Control": func(a *exchanged) { a.header.Set("Cache-Control", "max-age=60") },
		"no names":              func(a *exchanged) { a.header.Set("Outpost-Incomplete", "") },
		"an undescribed header": func(a *exchanged) { a.header.Set("Outpost-Secret", "1") },
		"another document":      func(a *exchanged) { a.body = []byte("[]") },
		"no JSON":               func(a *exchanged) { a.body = []byte("{") },
	} {
		got := exchange(t, newHandler(everything()), "GET", "/v1/snapshot")
		if text := d.differs(got); text != "" {
			t.Fatal(text)
		}
		if spoil(&got); d.differs(got) == "" {
			t.Errorf("accepted: %s", what)
		}
	}
}

// The document, the Go types and a response with all fields have the same fields.
func TestFieldsAreDescribed(t *testing.T) {
	schemas := describe(t).components["schemas"]
	for _, test := range []struct {
		path, query, schema string
		document            reflect.Type
	}{
		{"/connections", "?protocol=all", "Connections", reflect.TypeFor[snapshotv1.ContainerConnections]()},
		{"/v1/snapshot", "", "Snapshot", reflect.TypeFor[snapshotv1.Snapshot]()},
		{"/v1/graph", "", "Graph", reflect.TypeFor[graph.Graph]()},
		{"/api/graph/data", "", "Grafana", reflect.TypeFor[graph.Grafana]()},
		{"/api/graph/fields", "", "GrafanaFields", reflect.TypeFor[graph.GrafanaFields]()},
	} {
		described, declared, returned := fields{}, fields{}, fields{}
		described.addSchema("", schemas[test.schema], schemas)
		declared.addType("", test.document)
		document := decode(t, exchange(t, newHandler(everything()), "GET", test.path+test.query).body)
		if list, ok := document.([]any); ok {
			document = list[0]
		}
		returned.addValue("", document)
		if diff := cmp.Diff(declared, described); diff != "" {
			t.Errorf("%s (-declared +described):\n%s", test.path, diff)
		}
		if diff := cmp.Diff(declared, returned); diff != "" {
			t.Errorf("%s (-declared +returned):\n%s", test.path, diff)
		}
	}
}

// fields has the paths of all fields of a document.
type fields map[string]bool

func (f fields) addSchema(at string, is schema, schemas map[string]schema) {
	if is.Ref != "" {
		f.addSchema(at, schemas[path.Base(is.Ref)], schemas)
	}
	for name, property := range is.Properties {
		f[at+"."+name] = true
		f.addSchema(at+"."+name, property, schemas)
	}
	if is.Items != nil {
		f.addSchema(at+"[]", *is.Items, schemas)
	}
}

func (f fields) addType(at string, t reflect.Type) {
	switch {
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
	case t.Kind() == reflect.Pointer:
		f.addType(at, t.Elem())
	case t.Kind() == reflect.Slice:
		f.addType(at+"[]", t.Elem())
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			if !field.IsExported() {
				continue
			}
			if field.Anonymous {
				f.addType(at, field.Type)
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			f[at+"."+name] = true
			f.addType(at+"."+name, field.Type)
		}
	}
}

func (f fields) addValue(at string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			f[at+"."+name] = true
			f.addValue(at+"."+name, field)
		}
	case []any:
		for _, item := range value {
			f.addValue(at+"[]", item)
		}
	}
}

// decode decodes JSON and keeps the text of numbers.
func decode(t *testing.T, body []byte) (document any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}
