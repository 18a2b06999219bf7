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
	"path"
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

	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/metrics"
	"github.com/PabloL007/outpost/internal/snapshot"
	"github.com/PabloL007/outpost/internal/socket"
)

// told is a source that answers what it is told.
type told struct {
	taken  snapshot.Snapshot
	err    error
	panics bool
}

func (s told) Snapshot(ctx context.Context, _ bool) (snapshot.Snapshot, error) {
	return s.taken, s.Ready(ctx)
}

func (s told) Ready(context.Context) error {
	if s.panics {
		panic("out of order")
	}
	return s.err
}

// everything is a snapshot in which each field occurs, and one of its containers lacks all that may be absent.
func everything() told {
	at, addr := netip.MustParseAddrPort, netip.MustParseAddr
	id := func(digit string) string { return strings.Repeat(digit, 64) }
	return told{taken: snapshot.Snapshot{
		Host: snapshot.Host{
			Host:      container.Host{ID: "5a1e0c9e-0000-0000-0000-000000000000", Name: "host", Version: "29.0.0", API: "1.52"},
			Addresses: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}, AllAddresses: true,
		},
		TakenAt:  time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)),
		Duration: 1234 * time.Microsecond,
		Containers: []snapshot.Container{{
			ID: id("a"), Name: "/web", Image: "shop/web:1", Project: "shop", Service: "web", Network: "shop_default", Namespace: id("a"),
			Networks: []container.Network{{
				ID: id("1"), Name: "shop_default",
				Addresses: []netip.Addr{addr("192.0.2.130"), addr("2001:db8:1::2")},
				Gateways:  []netip.Addr{addr("192.0.2.129"), addr("2001:db8:1::1")},
			}, {ID: "3o6hnszk8tqkvrtx1h4q1t0iq", Name: "without addresses"}},
			Method: collect.Sockdiag,
			Listeners: []snapshot.Listener{
				{Local: at("127.0.0.1:6060"), Process: "web"},
				{Local: at("[::]:80"), Published: []netip.AddrPort{at("0.0.0.0:65535"), at("[::]:1")}, Process: "web"},
			},
			Connections: []snapshot.Connection{
				{
					Local: at("192.0.2.130:80"), Remote: at("192.0.2.131:40000"), Inbound: true, State: socket.Established, Process: "web",
					Info: &socket.Info{RTT: 1500 * time.Microsecond, Sent: math.MaxUint64},
				},
				{Local: at("[2001:db8:1::2]:80"), Remote: at("[2001:db8::9]:40000"), Inbound: true, State: socket.TimeWait},
				{Local: at("192.0.2.130:40001"), Remote: at("192.0.2.140:5432"), State: socket.Established, Info: &socket.Info{}},
			},
			Listening:   []netip.AddrPort{at("192.0.2.1:65535"), at("[2001:db8::1]:1")},
			Established: []netip.AddrPort{at("192.0.2.131:40000"), at("192.0.2.140:5432")},
		}, {
			ID: id("b"), Name: "/agent", Image: "agent", Network: "host", Namespace: "host", Method: collect.Procfs,
			Unused:    []collect.Skipped{{Method: collect.Sockdiag, Problem: collect.Problem{Reason: "CAP_SYS_ADMIN is missing", Detail: "EPERM"}}},
			Problems:  []collect.Problem{{Reason: "rows cannot be decoded", Detail: "1 of 2"}, {Reason: "denied"}},
			Listeners: []snapshot.Listener{{Local: at("0.0.0.0:9100")}},
			Listening: []netip.AddrPort{at("0.0.0.0:9100")},
		}, {
			ID: id("c"), Name: "/db", Image: "db", Network: "none", Namespace: id("c"), Method: collect.Exec,
			Unused: []collect.Skipped{
				{Method: collect.Sockdiag, Problem: collect.Problem{Reason: "its process cannot be seen"}},
				{Method: collect.Procfs, Problem: collect.Problem{Reason: "its process cannot be seen"}},
			},
		}, {
			ID: id("d"), Name: "/stuck", Image: "stuck", Network: "bridge", Method: collect.None,
			Problems: []collect.Problem{{Reason: "inspect failed"}},
		}},
	}}
}

func (s told) Graph(ctx context.Context) (graph.Graph, error) {
	addr, anywhere := netip.MustParseAddr, snapshot.Endpoint{Address: "0.0.0.0", Port: 80}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	g := graph.Graph{Version: graph.Version, Role: graph.RoleDaemon, WindowSeconds: 3600, Nodes: []graph.Node{}, Links: []graph.Link{}, Targets: []graph.Target{}}
	if len(s.taken.Containers) > 0 {
		g.Nodes = []graph.Node{{
			ID: "container/h/a", Kind: graph.KindContainer, Host: "h", Name: "web", Container: "a", Image: "web:1", Project: "shop", Service: "web",
			Reason: "denied", Stale: true, Past: true, Details: &graph.Details{
				Method: collect.Exec, Status: snapshot.StatusPartial,
				Unused:    []snapshot.UnusedDocument{{Method: collect.Procfs, Reason: "its process cannot be seen"}},
				Networks:  []snapshot.NetworkDocument{{ID: "n", Name: "net", Addresses: []netip.Addr{addr("10.0.0.2")}, Gateways: []netip.Addr{addr("10.0.0.1")}}},
				Listening: []snapshot.ListenerDocument{{Endpoint: anywhere, Published: []snapshot.Endpoint{anywhere}, Process: "nginx"}},
			},
		}, {ID: "ambiguous/10.0.0.1", Kind: graph.KindAmbiguous, Name: "10.0.0.1", Candidates: []string{"h"}}}
		g.Links = []graph.Link{{
			Client: "container/h/a", Server: "ambiguous/10.0.0.1", Port: 80, Via: graph.ViaHost, Evidence: graph.EvidenceClient, Connections: 2, Closed: 1,
			Measured: &graph.Measured{RTTMicroseconds: 1, BytesSent: math.MaxUint64, BytesReceived: 1}, Live: true, FirstSeen: noon, LastSeen: time.Now().UTC(),
		}}
		g.Targets = []graph.Target{{
			Target: "h:9057", Host: "h", State: graph.StateStale, Reason: "nothing listens there", Format: "snapshot", LastAnswer: noon, Unattributed: 1,
		}}
	}
	return g, s.Ready(ctx)
}

// nothing is a snapshot of a host without containers, of which the engine tells nothing.
func nothing() told {
	return told{taken: snapshot.Snapshot{TakenAt: time.Unix(0, 0), Duration: time.Millisecond}}
}

func handlerOf(source told) http.Handler {
	figures := metrics.New("1.2.3", []string{"list"}).Handler()
	if source.panics {
		figures = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("out of order") })
	}
	return api.New(api.Options{Source: source, Map: source, Metrics: figures, Version: "1.2.3", Log: zerolog.Nop()})
}

// described is the document that the handler serves.
type described struct {
	document   *v3.Document
	validator  validator.Validator
	components map[string]map[string]schema
}

// schema is a component of the document; some are no schemas and have the description alone.
type schema struct {
	Ref                  string `json:"$ref"`
	Description          string
	Type                 string
	AdditionalProperties *bool
	Properties           map[string]schema
	Items                *schema
}

func describe(t *testing.T) described {
	t.Helper()
	raw := exchange(t, handlerOf(nothing()), "GET", "/openapi.json").body
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
	d := described{document: &model.Model, validator: v}
	if err := json.Unmarshal(raw, &struct{ Components any }{&d.components}); err != nil {
		t.Fatal(err)
	}
	return d
}

// exchanged is what a handler answered to a request.
type exchanged struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte
}

// exchange asks handler through a connection, so that what the server does to an answer is done. Headers are given as
// name, value, …
func exchange(t *testing.T, handler http.Handler, method, path string, headers ...string) exchanged {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := server.Client().Transport.RoundTrip(request) // follows no redirect
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

// differs says how an answer differs from the document; empty if it does not.
func (d described) differs(a exchanged) string {
	response := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body))}
	if ok, errs := d.validator.ValidateHttpRequestResponse(a.request, response); !ok {
		return wordsOf(errs)
	}
	known := slices.Clone(generalHeaders)
	for name := range d.operation(a.request).Responses.Codes.GetOrZero(strconv.Itoa(a.status)).Headers.FromOldest() {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range a.header {
		if !slices.Contains(known, name) {
			return "header " + name + " is not described"
		}
	}
	return ""
}

// generalHeaders are those that the document does not name at each answer.
var generalHeaders = []string{"Content-Type", "Content-Length", "Date", "Vary", "X-Content-Type-Options"}

func (d described) operation(request *http.Request) *v3.Operation {
	item := d.document.Paths.PathItems.GetOrZero(template(request.URL.Path))
	if request.Method == http.MethodHead {
		return item.Head
	}
	return item.Get
}

// template returns a path as the document has it.
func template(of string) string {
	if dir, file := path.Split(of); strings.HasPrefix(dir, "/map/") && file != "" {
		return dir + "{file}"
	}
	return of
}

func wordsOf(errs []*validation.ValidationError) string {
	var words []string
	for _, err := range errs {
		words = append(words, err.Message+": "+err.Reason)
		for _, failure := range err.SchemaValidationErrors {
			words = append(words, strings.Join(failure.InstancePath, ".")+": "+failure.Reason)
		}
	}
	return strings.Join(words, "; ")
}

// operations are "GET /path" and so on; statuses are those with each status that is described.
func (d described) operations() (operations, statuses []string) {
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
		t.Error(wordsOf(errs))
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

// eachDescribed complains of what has no description: at itself and the properties below it.
func eachDescribed(t *testing.T, at string, is schema) {
	t.Helper()
	if is.Description == "" && is.Ref == "" {
		t.Errorf("%s: no description", at)
	}
	if is.Type == "object" && (is.AdditionalProperties == nil || *is.AdditionalProperties) {
		t.Errorf("%s: takes any field", at)
	}
	for name, property := range is.Properties {
		eachDescribed(t, at+"."+name, property)
	}
}

func TestRoutesAreDescribed(t *testing.T) {
	routes, ok := handlerOf(nothing()).(chi.Routes)
	if !ok {
		t.Fatal("the handler does not tell its routes")
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
	slices.Sort(served)
	operations, _ := describe(t).operations()
	if diff := cmp.Diff(served, operations); diff != "" {
		t.Errorf("(-served +described):\n%s", diff)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	var (
		drawings = []string{"/v1/graph", "/v1/graph.dot", "/v1/graph.mmd", "/v1/graph.csv", "/api/graph/data"}
		tagged   = append([]string{"/connections", "/", "/index", "/v1/snapshot"}, drawings...)
		asking   = append([]string{"/readyz"}, tagged...)
		page     = []string{"/map/", "/map/main.js", "/map/vendor/dagre-3.1.3.esm.js"}
		all      = append([]string{"/metrics", "/openapi.json", "/healthz", "/version", "/api/health", "/api/graph/fields"}, slices.Concat(page, asking)...)
	)
	d := describe(t)
	seen := make(map[string]bool)
	var wrong []string
	for _, path := range drawings {
		wrong = append(wrong, path+"?since=yesterday")
	}
	for _, test := range []struct {
		name    string
		source  told
		headers []string
		paths   []string
		status  int
	}{
		{name: "everything", source: everything(), paths: all, status: 200},
		{name: "nothing", source: nothing(), paths: all, status: 200},
		{name: "condition", source: everything(), headers: []string{"If-None-Match", "*"}, paths: slices.Concat(tagged, page), status: 304},
		{name: "browser", source: everything(), headers: []string{"Accept", "text/html,application/xml;q=0.9"}, paths: []string{"/"}, status: 302},
		{name: "browser with a view", source: everything(), headers: []string{"Accept", "text/html"}, paths: []string{"/?group=host"}, status: 302},
		{name: "no file", source: everything(), paths: []string{"/map/other.js", "/map/vendor/other.js"}, status: 404},
		{name: "another condition", source: everything(), headers: []string{"If-None-Match", `W/"other"`}, paths: tagged, status: 200},
		{name: "unreachable", source: told{err: container.ErrUnreachable}, paths: asking, status: 503},
		{name: "forbidden", source: told{err: container.ErrForbidden}, paths: asking, status: 503},
		{name: "slow", source: told{err: context.DeadlineExceeded}, paths: asking, status: 503},
		{name: "panic", source: told{panics: true}, paths: append([]string{"/metrics"}, asking...), status: 500},
		{name: "wrong", source: everything(), paths: wrong, status: 400},
		{name: "views", source: everything(), status: 200, paths: []string{
			"/v1/graph?group=service&external=group&since=1h", "/v1/graph?container=web&depth=2&host=a&project=b", "/v1/graph.csv?external=hide",
		}},
		{name: "filters", source: everything(), status: 200, paths: []string{
			"/v1/snapshot?container=web", "/v1/snapshot?container=bbb&project=", "/v1/snapshot?project=shop", "/v1/snapshot?container=none&project=none",
		}},
	} {
		for _, path := range test.paths {
			for _, method := range []string{"GET", "HEAD"} {
				got := exchange(t, handlerOf(test.source), method, path, test.headers...)
				if got.status != test.status {
					t.Errorf("%s: %s %s: %d, want %d", test.name, method, path, got.status, test.status)
				}
				if words := d.differs(got); words != "" {
					t.Errorf("%s: %s %s: %s\n%.1000s", test.name, method, path, words, got.body)
				}
				seen[fmt.Sprintf("%s %s %d", method, template(got.request.URL.Path), got.status)] = true
			}
		}
	}
	_, statuses := d.operations()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(seen)), statuses); diff != "" {
		t.Errorf("(-seen +described):\n%s", diff)
	}
}

func TestMetricsThatFailAreDescribed(t *testing.T) {
	failing := prometheus.NewRegistry()
	failing.MustRegister(prometheus.CollectorFunc(func(figures chan<- prometheus.Metric) {
		figures <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "Out of order.", nil, nil), errors.New("out of order"))
	}))
	handler := api.New(api.Options{Source: nothing(), Metrics: promhttp.HandlerFor(failing, promhttp.HandlerOpts{}), Log: zerolog.Nop()})
	got := exchange(t, handler, "GET", "/metrics")
	if words := describe(t).differs(got); words != "" || got.status != 500 {
		t.Errorf("%d: %s", got.status, words)
	}
}

func TestOtherPathsAndMethodsGetTheDescribedError(t *testing.T) {
	failure := describe(t).document.Components.Schemas.GetOrZero("Error").Schema()
	v := schema_validation.NewSchemaValidator()
	for _, test := range []struct {
		method, path string
		status       int
	}{{"GET", "/nothing", 404}, {"GET", "/v1/snapshot/", 404}, {"POST", "/v1/snapshot", 405}, {"DELETE", "/metrics", 405}} {
		got := exchange(t, handlerOf(everything()), test.method, test.path)
		ok, errs := v.ValidateSchemaBytes(failure, got.body)
		if !ok || got.status != test.status || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %s", test.method, test.path, got.status, wordsOf(errs))
		}
	}
}

// optional are the fields that may be absent.
var optional = []string{
	"project", "service", "namespace", "reason", "process", "measured", "host", "container", "image", "candidates", "stale", "past", "format",
	"lastAnswer", "displayName", "details",
}

// required are those fields that are optional elsewhere.
var required = []string{"/v1/snapshot.host", "/v1/snapshot.containers[].image"}

var wrongAddresses = []any{"", "localhost", "192.0.2.300", "192.0.2", "::ffff:192.0.2.1", "2001:DB8::1", "2001:db8::1::", "fe80::1%eth0"}

// wrongValues are, for each field, values of the right type that it never has.
var wrongValues = map[string][]any{
	"port":            {70000, 65536, 0, -1, 80.5},
	"address":         wrongAddresses,
	"addresses":       wrongAddresses,
	"gateways":        wrongAddresses,
	"version":         {0, 2, ""},
	"takenAt":         {"", "yesterday", "2026-01-02", "2026-01-02T03:04:05+01:00"},
	"durationMs":      {-1},
	"method":          {"", "netlink"},
	"status":          {"", "good"},
	"direction":       {"", "both"},
	"state":           {"", "LISTEN", "established"},
	"rttMicroseconds": {-1, 0.5},
	"kind":            {"", "planet"},
	"via":             {"", "post"},
	"evidence":        {"", "none"},
	"connections":     {-1, 0.5},
	"closed":          {-1, 0.5},
	"forgotten":       {-1, 0.5},
	"windowSeconds":   {-1, 0, 0.5},
	"role":            {"", "other"},
	"unattributed":    {-1, 0.5},
	"format":          {"", "html"},
	"bytesSent":       {-1, 0.5},
	"bytesReceived":   {-1, 0.5},
	"reason":          {""},
	"namespace":       {""},
	"process":         {""},
	"project":         {""},
	"service":         {""},
	"error":           {""},
}

// eachWrong makes the value at wrong in each way, one after the other, and calls try with what is wrong.
func eachWrong(at string, value any, set func(any), try func(what string)) {
	name := strings.TrimSuffix(at[strings.LastIndex(at, ".")+1:], "[]")
	another := any(true) // of another type
	if _, boolean := value.(bool); boolean {
		another = "true"
	}
	for _, wrong := range append([]any{nil, another}, wrongValues[name]...) {
		set(wrong)
		try(fmt.Sprintf("%s is %#v", at, wrong))
	}
	set(value)
	eachWrongIn(at, value, try)
}

// eachWrongIn does the same to all that the value at holds.
func eachWrongIn(at string, value any, try func(what string)) {
	switch value := value.(type) {
	case map[string]any:
		value["surplus"] = "text"
		try(at + " has one field more")
		delete(value, "surplus")
		for name, field := range maps.Clone(value) {
			if !slices.Contains(optional, name) || slices.Contains(required, at+"."+name) {
				delete(value, name)
				try(at + " has no " + name)
			}
			eachWrong(at+"."+name, field, func(v any) { value[name] = v }, try)
		}
	case []any:
		for i, item := range value {
			eachWrong(at+"[]", item, func(v any) { value[i] = v }, try)
		}
	}
}

func TestWrongAnswersAreRefused(t *testing.T) {
	d := describe(t)
	for _, test := range []struct {
		path   string
		source told
	}{
		{"/connections", everything()},
		{"/v1/snapshot", everything()},
		{"/v1/graph", everything()},
		{"/api/graph/data", everything()},
		{"/api/graph/fields", nothing()},
		{"/v1/snapshot", told{err: container.ErrUnreachable}},
		{"/healthz", nothing()},
		{"/version", nothing()},
	} {
		got := exchange(t, handlerOf(test.source), "GET", test.path)
		document := decode(t, got.body)
		differs := func() string {
			var err error
			if got.body, err = json.Marshal(document); err != nil {
				t.Fatal(err)
			}
			return d.differs(got)
		}
		if words := differs(); words != "" {
			t.Fatalf("%s: %s", test.path, words)
		}
		tried := 0
		eachWrongIn(test.path, document, func(what string) {
			tried++
			if differs() == "" {
				t.Errorf("accepted: %s", what)
			}
		})
		if words := differs(); words != "" || tried == 0 {
			t.Errorf("%s after %d changes that were undone: %s", test.path, tried, words)
		}
	}
}

func TestWrongHeadersAreRefused(t *testing.T) {
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
		got := exchange(t, handlerOf(everything()), "GET", "/v1/snapshot")
		if words := d.differs(got); words != "" {
			t.Fatal(words)
		}
		if spoil(&got); d.differs(got) == "" {
			t.Errorf("accepted: %s", what)
		}
	}
}

// TestFieldsAreDescribed holds the document, the types and an answer with all fields against each other.
func TestFieldsAreDescribed(t *testing.T) {
	schemas := describe(t).components["schemas"]
	for _, test := range []struct {
		path, schema string
		document     reflect.Type
	}{
		{"/connections", "Connections", reflect.TypeFor[snapshot.Connections]()},
		{"/v1/snapshot", "Snapshot", reflect.TypeFor[snapshot.Document]()},
		{"/v1/graph", "Graph", reflect.TypeFor[graph.Graph]()},
		{"/api/graph/data", "Grafana", reflect.TypeFor[graph.Grafana]()},
		{"/api/graph/fields", "GrafanaFields", reflect.TypeFor[graph.GrafanaFields]()},
	} {
		described, declared, answered := fields{}, fields{}, fields{}
		described.ofSchema("", schemas[test.schema], schemas)
		declared.ofType("", test.document)
		document := decode(t, exchange(t, handlerOf(everything()), "GET", test.path).body)
		if list, ok := document.([]any); ok {
			document = list[0]
		}
		answered.ofValue("", document)
		if diff := cmp.Diff(declared, described); diff != "" {
			t.Errorf("%s (-declared +described):\n%s", test.path, diff)
		}
		if diff := cmp.Diff(declared, answered); diff != "" {
			t.Errorf("%s (-declared +answered):\n%s", test.path, diff)
		}
	}
}

// fields are the paths of all fields of a document.
type fields map[string]bool

func (f fields) ofSchema(at string, is schema, schemas map[string]schema) {
	if is.Ref != "" {
		f.ofSchema(at, schemas[path.Base(is.Ref)], schemas)
	}
	for name, property := range is.Properties {
		f[at+"."+name] = true
		f.ofSchema(at+"."+name, property, schemas)
	}
	if is.Items != nil {
		f.ofSchema(at+"[]", *is.Items, schemas)
	}
}

func (f fields) ofType(at string, t reflect.Type) {
	switch {
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
	case t.Kind() == reflect.Pointer:
		f.ofType(at, t.Elem())
	case t.Kind() == reflect.Slice:
		f.ofType(at+"[]", t.Elem())
	case t.Kind() == reflect.Struct:
		for field := range t.Fields() {
			if !field.IsExported() {
				continue
			}
			if field.Anonymous {
				f.ofType(at, field.Type)
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			f[at+"."+name] = true
			f.ofType(at+"."+name, field.Type)
		}
	}
}

func (f fields) ofValue(at string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			f[at+"."+name] = true
			f.ofValue(at+"."+name, field)
		}
	case []any:
		for _, item := range value {
			f.ofValue(at+"[]", item)
		}
	}
}

// decode keeps numbers as they are written.
func decode(t *testing.T, body []byte) (document any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}
