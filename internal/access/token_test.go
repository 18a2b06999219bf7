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

// Some editors put a byte order mark in front of a text.
func TestFilesWithByteOrderMark(t *testing.T) {
	s := serve(t, access.Options{TokenFile: file(t, mark+token, newToken)})
	for _, accepted := range []string{token, newToken} {
		s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+accepted)
		s.expect(http.StatusUnauthorized, "/connections", "Authorization", "Bearer "+mark+accepted)
	}
	asking := client(t, access.Credentials{Token: file(t, mark+token)})
	if response, _ := s.get(asking, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("by the target token: %d", response.StatusCode)
	}
	s = serve(t, access.Options{WebConfig: file(t, mark+"basic_auth_users:", "  a: "+hash(t, "of a"))})
	s.expect(http.StatusOK, "/connections", "Authorization", basic("a", "of a"))
	s.expect(http.StatusUnauthorized, "/connections")
}

func TestInvalidFilesAreErrors(t *testing.T) {
	for name, options := range map[string]access.Options{
		"no file":       {TokenFile: filepath.Join(t.TempDir(), "none")},
		"no token":      {TokenFile: file(t, "", " ")},
		"short":         {TokenFile: file(t, token, "short")},
		"with spaces":   {TokenFile: file(t, token+" "+token)},
		"with controls": {TokenFile: file(t, token+"\x01")},
		"UTF-16":        {TokenFile: file(t, utf16(token))},
		"UTF-16 config": {WebConfig: file(t, utf16("basic_auth_users: {}"))},
		"no config":     {WebConfig: filepath.Join(t.TempDir(), "none")},
		"unknown field": {WebConfig: file(t, "users: {}")},
		"no hash":       {WebConfig: file(t, "basic_auth_users:", "  a: password")},
		"no key":        {WebConfig: file(t, "tls_server_config:", "  cert_file: none.pem")},
	} {
		_, err := access.New(options)
		if err == nil || strings.Contains(err.Error(), token) || strings.HasPrefix(name, "UTF-16") && !strings.Contains(err.Error(), "is in UTF-16") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
