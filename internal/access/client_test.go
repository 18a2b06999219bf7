package access_test

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/access/accesstest"
)

func TestInvalidCredentialsAreErrors(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	certificate, _ := accesstest.NewAuthority(t).Issue("mapper")
	for _, c := range []access.Credentials{{Token: none}, {CA: none}, {Token: file(t, "short")}, {CA: file(t, "no certificate")}, {Certificate: certificate}, {Key: none}} {
		if _, err := c.Transport(func(*tls.Config) http.RoundTripper { return nil }); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

func TestUserInURLPrecedesToken(t *testing.T) {
	s := serve(t, access.Options{WebConfig: file(t, "basic_auth_users:", "  a: "+hash(t, "of a"))})
	asking := client(t, access.Credentials{Token: file(t, token)})
	if response, _ := s.get(asking, "/connections"); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("by token: %d", response.StatusCode)
	}
	s.url = strings.Replace(s.url, "http://", "http://a:of%20a@", 1)
	if response, _ := s.get(asking, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("by user: %d", response.StatusCode)
	}
}
