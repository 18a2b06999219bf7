package access_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/access/accesstest"
)

func TestUserIsRequired(t *testing.T) {
	path := file(t, "basic_auth_users:", "  a: "+hash(t, "of a"), "http_server_config:", "  headers:", "    Strict-Transport-Security: max-age=1")
	s := serve(t, access.Options{WebConfig: path})
	for _, authorization := range []string{"", basic("a", "wrong"), basic("b", "of a"), "Bearer " + token, "Basic"} {
		s.expect(http.StatusUnauthorized, "/connections", "Authorization", authorization)
	}
	if got := s.expect(http.StatusOK, "/connections", "Authorization", basic("a", "of a")).Get("Strict-Transport-Security"); got != "max-age=1" {
		t.Errorf("Strict-Transport-Security: %q", got)
	}
	s.expectHealthOpen()
	write(t, path, "basic_auth_users:", "  b: "+hash(t, "of b"))
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", basic("a", "of a"))
	s.expect(http.StatusOK, "/connections", "Authorization", basic("b", "of b"))
	for _, content := range []string{"nonsense", "", "basic_auth_users: {}"} {
		write(t, path, content)
		for _, authorization := range []string{basic("b", "of b"), ""} {
			s.expectError(http.StatusServiceUnavailable, "requests are rejected", "/connections", "Authorization", authorization)
		}
		s.expectHealthOpen()
	}
	write(t, path, "basic_auth_users:", "  b: "+hash(t, "of b"))
	s.expect(http.StatusOK, "/connections", "Authorization", basic("b", "of b"))
}

func TestTokenOrUser(t *testing.T) {
	path := file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))
	s := serve(t, access.Options{WebConfig: path, TokenFile: file(t, token)})
	s.expect(http.StatusOK, "/connections", "Authorization", basic("a", "of a"))
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+token)
	s.expect(http.StatusUnauthorized, "/connections", "Authorization", basic("a", "wrong"))
	s.expect(http.StatusUnauthorized, "/connections")
	write(t, path, "nonsense")
	s.expect(http.StatusServiceUnavailable, "/connections")
	write(t, path, "")
	for _, authorization := range []string{"", basic("a", "of a")} {
		s.expect(http.StatusUnauthorized, "/connections", "Authorization", authorization)
	}
}

func TestIsProtected(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	tlsConfig := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	demanding := append(slices.Clone(tlsConfig), "  client_ca_file: "+authority.File, "  client_auth_type: RequireAndVerifyClientCert")
	for name, test := range map[string]struct {
		access.Options
		protected bool
	}{
		"nothing":         {access.Options{}, false},
		"TLS":             {access.Options{WebConfig: file(t, tlsConfig...)}, false},
		"certificates":    {access.Options{WebConfig: file(t, demanding...)}, true},
		"any certificate": {access.Options{WebConfig: file(t, append(slices.Clone(tlsConfig), "  client_auth_type: RequireAnyClientCert")...)}, false},
		"users":           {access.Options{WebConfig: file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))}, true},
		"token":           {access.Options{TokenFile: file(t, token)}, true},
	} {
		guard, err := access.New(test.Options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if guard.IsProtected() != test.protected {
			t.Errorf("%s: protected: %v", name, guard.IsProtected())
		}
	}
}

// Requests are rejected if either demand is removed from the file.
func TestRemovedDemandFailsClosed(t *testing.T) {
	servers, clients := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	tls := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	certificates := append(slices.Clone(tls), "  client_ca_file: "+clients.File, "  client_auth_type: RequireAndVerifyClientCert")
	users := []string{"basic_auth_users:", "  a: " + hash(t, "of a")}
	path := file(t, slices.Concat(certificates, users)...)
	s := serve(t, access.Options{WebConfig: path, TokenFile: file(t, token)})
	own, ownKey := clients.Issue("mapper")
	proven := client(t, access.Credentials{CA: servers.File, Certificate: own, Key: ownKey})
	const ok, unknown, closed = http.StatusOK, http.StatusUnauthorized, http.StatusServiceUnavailable
	for _, test := range []struct {
		config               []string
		user, holder, nobody int
	}{
		{slices.Concat(certificates, users), ok, ok, unknown},
		{certificates, unknown, ok, unknown}, // for example half written
		{slices.Concat(tls, users), closed, closed, closed},
		{slices.Concat(certificates, users), ok, ok, unknown},
	} {
		write(t, path, test.config...)
		for authorization, want := range map[string]int{basic("a", "of a"): test.user, "Bearer " + token: test.holder, "": test.nobody} {
			if got, body := s.get(proven, "/connections", "Authorization", authorization); got.StatusCode != want {
				t.Errorf("%q, %q: %d %s", test.config, authorization, got.StatusCode, body)
			}
		}
	}
	path = file(t, slices.Concat(certificates, users)...)
	s = serve(t, access.Options{WebConfig: path})
	write(t, path, certificates...)
	for _, authorization := range []string{basic("a", "of a"), ""} {
		if got, body := s.get(proven, "/connections", "Authorization", authorization); got.StatusCode != closed {
			t.Errorf("without users, %q: %d %s", authorization, got.StatusCode, body)
		}
	}
}
