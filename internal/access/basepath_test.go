package access_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
)

// paths answers with the decoded and the escaped path of a request.
var paths = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode([2]string{r.URL.Path, r.URL.EscapedPath()})
})

func TestBasePathIsStripped(t *testing.T) {
	s := serveAt(t, access.Options{BasePath: "/outpost"}, paths, unchanged)
	for path, want := range map[string][2]string{
		"/outpost":                {"/", "/"},
		"/outpost?group=host":     {"/", "/"},
		"/outpost/":               {"/", "/"},
		"/outpost/map/main.js":    {"/map/main.js", "/map/main.js"},
		"/outpost/map/..%2fx":     {"/map/../x", "/map/..%2fx"},
		"/outpost//healthz":       {"//healthz", "//healthz"},
		"/outpost/outpost/x":      {"/outpost/x", "/outpost/x"},
		"/outpost/../healthz":     {"/../healthz", "/../healthz"},
		"/v1/graph":               {"/v1/graph", "/v1/graph"},
		"/":                       {"/", "/"},
		"/outpostx/healthz":       {"/outpostx/healthz", "/outpostx/healthz"},
		"/Outpost/healthz":        {"/Outpost/healthz", "/Outpost/healthz"},
		"//outpost/healthz":       {"//outpost/healthz", "//outpost/healthz"},
		"/outpost%2fhealthz":      {"/outpost/healthz", "/outpost%2fhealthz"},
		"/%6futpost/healthz":      {"/outpost/healthz", "/%6futpost/healthz"},
		"/./outpost/healthz":      {"/./outpost/healthz", "/./outpost/healthz"},
		"/outpost;a=b/healthz":    {"/outpost;a=b/healthz", "/outpost;a=b/healthz"},
		"/outpost/map/%E2%82%AC":  {"/map/€", "/map/%E2%82%AC"},
		"/outpost/%2foutpost/%2f": {"//outpost//", "/%2foutpost/%2f"},
	} {
		response, body := s.get(http.DefaultClient, path)
		var got [2]string
		if err := json.Unmarshal([]byte(body), &got); err != nil || response.StatusCode != http.StatusOK || got != want {
			t.Errorf("%s: %d %q, want %q", path, response.StatusCode, body, want)
		}
	}
}

// The open paths are also open below the base path, and nothing else is.
func TestAccessIsCheckedWithoutTheBasePath(t *testing.T) {
	s := serve(t, access.Options{BasePath: "/tools/outpost", TokenFile: file(t, token)})
	s.expectHealthOpen()
	for _, path := range []string{"/healthz", "/readyz", "/api/health"} {
		s.expect(http.StatusOK, "/tools/outpost"+path)
	}
	for _, path := range []string{
		"/tools/outpost", "/tools/outpost/", "/tools/outpost/v1/graph", "/v1/graph", "/tools/healthz", "/tools/outpostx/healthz",
		"/tools/outpost//healthz", "//tools/outpost/healthz", "/tools//outpost/healthz", "/tools/outpost/healthz/", "/tools/outpost/healthz/../v1/graph",
		"/tools/outpost/tools/outpost/healthz", "/tools/outpost%2fhealthz", "/tools%2foutpost/healthz", "/tools/outpost/%2fhealthz", "/healthz/tools/outpost/v1/graph",
	} {
		s.expectError(http.StatusUnauthorized, "token required", path)
		s.expect(http.StatusOK, path, "Authorization", "Bearer "+token)
	}
}
