package web_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/web/webtest"
)

// deniedBy returns the error of a real client of an engine behind a proxy on a socket that answers each request with a status.
func deniedBy(t *testing.T, status int) error {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "unix://"+listener.Addr().String())
	client, err := engine.New(engine.Options{MaxCalls: 1, Observe: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.Ready(t.Context())
}

// TestDenialAndRemedyAreOverTheMap opens the page of a daemon without access to its engine, and takes the access away later.
func TestDenialAndRemedyAreOverTheMap(t *testing.T) {
	served, address := serve(t, shop())
	forbidden := deniedBy(t, http.StatusForbidden)
	served.set(graph.Graph{}, forbidden)
	p := webtest.Start(t).Open(address, 1400, 850)
	p.Until(`document.querySelector("#empty:not([hidden]) .remedy")`)
	empty := webtest.Eval[string](p, `document.querySelector("#empty").innerText`)
	expect(t, "without data", empty, "No data from Outpost", "The container engine does not permit listing containers.", "CONTAINERS=1", "Retrying")
	p.Shot("denied")

	served.set(shop(), nil)
	p.Until(`document.querySelector(".node") && document.querySelector("#empty").hidden && document.querySelector("#banner").hidden`)
	served.set(graph.Graph{}, forbidden)
	p.Until(`document.querySelector("#banner:not([hidden]) .remedy")`)
	expect(t, "with earlier data", strings.Join(p.Texts("#banner"), ""), "does not permit listing containers; data from", "CONTAINERS=1")
	same(t, "the remedies in view", []string{webtest.Eval[string](p, `String((() => {
		const r = document.querySelector("#banner .remedy").getBoundingClientRect(), frame = document.querySelector(".drawing").getBoundingClientRect();
		return r.left >= frame.left && r.right <= frame.right && r.top >= frame.top && r.bottom <= document.querySelector("#map").getBoundingClientRect().top;
	})())`)}, "true")
	p.Shot("denied-later")

	served.set(graph.Graph{}, deniedBy(t, http.StatusUnauthorized))
	p.Until(`document.querySelector("#banner .remedy").textContent.includes("DOCKER_CERT_PATH")`)
	served.set(shop(), nil)
	p.Until(`document.querySelector("#banner").hidden && !document.querySelector("#banner .remedy")`)
	for _, complaint := range p.Complaints() {
		if !strings.Contains(complaint, "503") { // which the browser always reports
			t.Error(complaint)
		}
	}
}
