package access_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
)

func TestEverybodyMayAskByDefault(t *testing.T) {
	s := serve(t, access.Options{})
	s.expect(http.StatusOK, "/connections")
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer of nothing")
	s.expectHealthOpen()
}

func TestTokenIsRequired(t *testing.T) {
	path := file(t, token)
	s := serve(t, access.Options{TokenFile: path})
	wrong := []string{
		"", "Bearer", "Bearer ", "Bearer " + token[1:], "Bearer " + token + "x", "Bearer " + strings.ToUpper(token), "Basic " + token,
		"Token " + token, token, basic(token, ""), basic("any", "wrong"), "Bearer " + strings.Repeat("x", 10_000),
	}
	for _, authorization := range wrong {
		for _, path := range []string{"/connections", "/", "/map/", "/metrics", "/v1/graph", "/healthz/", "/healthz/../connections", "//healthz", "/HEALTHZ"} {
			response := s.expectError(http.StatusUnauthorized, "token required", path, "Authorization", authorization)
			if got := response.Header.Get("WWW-Authenticate"); got != `Basic realm="outpost", charset="UTF-8"` {
				t.Errorf("WWW-Authenticate: %s", got)
			}
		}
	}
	for _, authorization := range []string{"Bearer " + token, "bearer " + token, basic("any", token), basic("", token)} {
		s.expect(http.StatusOK, "/connections", "Authorization", authorization)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "")
	s.expectHealthOpen()

	write(t, path, "", token, "  "+newToken+"  ")
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+token)
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+newToken)
	write(t, path, newToken)
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+token)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, token[:len(token)-1]+"x") // of equal size and time
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+newToken)
	write(t, path, newToken)
	for what, spoil := range map[string]func(){
		"emptied": func() { write(t, path) },
		"wrong":   func() { write(t, path, newToken, "short") },
		"removed": func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		said := s.log.count("Cannot read the token file again")
		spoil()
		for range 3 {
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+newToken)
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer short")
			s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer ")
		}
		if n := s.log.count("Cannot read the token file again") - said; n != 1 {
			t.Errorf("%s: logged %d times, want once", what, n)
		}
		write(t, path, newToken)
		s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+newToken)
	}
	s.expectHealthOpen()
}

func TestInvalidFilesAreErrors(t *testing.T) {
	for name, options := range map[string]access.Options{
		"no file":       {TokenFile: filepath.Join(t.TempDir(), "none")},
		"no token":      {TokenFile: file(t, "", " ")},
		"short":         {TokenFile: file(t, token, "short")},
		"with spaces":   {TokenFile: file(t, token+" "+token)},
		"with controls": {TokenFile: file(t, token+"\x01")},
		"no config":     {WebConfig: filepath.Join(t.TempDir(), "none")},
		"unknown field": {WebConfig: file(t, "users: {}")},
		"no hash":       {WebConfig: file(t, "basic_auth_users:", "  a: password")},
		"no key":        {WebConfig: file(t, "tls_server_config:", "  cert_file: none.pem")},
	} {
		if _, err := access.New(options); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
