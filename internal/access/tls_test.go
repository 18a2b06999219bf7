package access_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/access/accesstest"
)

func TestClientCertificateAndTokenAreRequired(t *testing.T) {
	servers, clients, strangers := accesstest.NewAuthority(t), accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := servers.Issue("server")
	s := serve(t, access.Options{WebConfig: file(t, "tls_server_config:", "  cert_file: "+certificate, "  key_file: "+key,
		"  client_ca_file: "+clients.File, "  client_auth_type: RequireAndVerifyClientCert"), TokenFile: file(t, token)})
	own, ownKey := clients.Issue("mapper")
	strange, strangeKey := strangers.Issue("mapper")
	credentials := access.Credentials{CA: servers.File, Certificate: own, Key: ownKey, Token: file(t, token, newToken)}
	for name, test := range map[string]struct {
		change func(*access.Credentials)
		fails  string
		status int
	}{
		"all":                 {func(*access.Credentials) {}, "", http.StatusOK},
		"no token":            {func(c *access.Credentials) { c.Token = "" }, "", http.StatusUnauthorized},
		"another token":       {func(c *access.Credentials) { c.Token = file(t, newToken) }, "", http.StatusUnauthorized},
		"no certificate":      {func(c *access.Credentials) { c.Certificate, c.Key = "", "" }, "certificate required", 0},
		"another's":           {func(c *access.Credentials) { c.Certificate, c.Key = strange, strangeKey }, "certificate", 0},
		"another authority":   {func(c *access.Credentials) { c.CA = strangers.File }, "unknown authority", 0},
		"the machine's alone": {func(c *access.Credentials) { c.CA = "" }, "certificate", 0},
		"all again":           {func(*access.Credentials) {}, "", http.StatusOK},
	} {
		c := credentials
		test.change(&c)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/connections", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(t, c).Do(request)
		switch {
		case test.fails != "":
			if err == nil || !strings.Contains(err.Error(), test.fails) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || response.StatusCode != test.status:
			t.Errorf("%s: %v, %v", name, response, err)
		}
		if err == nil {
			_ = response.Body.Close()
		}
	}
}

// The client reads PEM files with a byte order mark. The server rejects them at startup, because the library that reads them would
// skip the first certificate.
func TestCertificatesWithByteOrderMark(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	config := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key,
		"  client_ca_file: " + authority.File, "  client_auth_type: RequireAndVerifyClientCert"}
	s := serve(t, access.Options{WebConfig: file(t, config...)})
	marked := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return file(t, mark+string(content))
	}
	own, ownKey := authority.Issue("mapper")
	asking := client(t, access.Credentials{CA: marked(authority.File), Certificate: marked(own), Key: marked(ownKey)})
	if response, body := s.get(asking, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if _, err := (access.Credentials{CA: file(t, utf16("CERTIFICATE"))}).Transport(nil); err == nil || !strings.Contains(err.Error(), "is in UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
	for _, path := range []string{certificate, key, authority.File} {
		wrong := marked(path)
		_, err := access.New(access.Options{WebConfig: file(t, strings.ReplaceAll(strings.Join(config, "\n"), path, wrong))})
		if err == nil || !strings.Contains(err.Error(), wrong+" begins with a byte order mark") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The server and the client read their certificates again.
func TestReplacedCertificatesAreRead(t *testing.T) {
	first, second := accesstest.NewAuthority(t), accesstest.NewAuthority(t)
	certificate, key := first.Issue("server")
	ca := first.File
	s := serve(t, access.Options{WebConfig: file(t, "tls_server_config:", "  cert_file: "+certificate, "  key_file: "+key)})
	asking := client(t, access.Credentials{CA: ca})
	expect := func() {
		t.Helper()
		asking.CloseIdleConnections()
		if response, body := s.get(asking, "/connections"); response.StatusCode != http.StatusOK || body != "answer" {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
	expect()
	newCertificate, newKey := second.Issue("server")
	for from, to := range map[string]string{newCertificate: certificate, newKey: key, second.File: ca} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	expect()
}

// A connection from before the demand has no client certificate.
func TestCertificateIsRequiredOnOpenConnections(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	own, ownKey := authority.Issue("client")
	loose := []string{"tls_server_config:", "  cert_file: " + certificate, "  key_file: " + key}
	path := file(t, loose...)
	s := serve(t, access.Options{WebConfig: path})
	without := client(t, access.Credentials{CA: authority.File})
	expect := func(asking *http.Client, status int) {
		t.Helper()
		if response, body := s.get(asking, "/connections"); response.StatusCode != status {
			t.Errorf("%d %s, want %d", response.StatusCode, body, status)
		}
	}
	expect(without, http.StatusOK)
	write(t, path, append(loose, "  client_ca_file: "+authority.File, "  client_auth_type: RequireAndVerifyClientCert")...)
	expect(without, http.StatusUnauthorized)
	expect(client(t, access.Credentials{CA: authority.File, Certificate: own, Key: ownKey}), http.StatusOK)
}

func TestTLSSettingsOfWebConfig(t *testing.T) {
	authority := accesstest.NewAuthority(t)
	certificate, key := authority.Issue("server")
	directory := filepath.Dir(certificate)
	files := []string{"tls_server_config:", "  cert_file: cert.pem", "  key_file: " + key}
	for name, test := range map[string]struct {
		config         []string
		client         *tls.Config
		version        uint16
		protocol       string
		rejectedByPeer bool
	}{
		"defaults":       {nil, &tls.Config{NextProtos: []string{"h2"}}, tls.VersionTLS13, "h2", false},
		"TLS 1.2":        {nil, &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, "", false},
		"TLS 1.1":        {nil, &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, 0, "", true},
		"minimum":        {[]string{"  min_version: TLS13"}, &tls.Config{MaxVersion: tls.VersionTLS12}, 0, "", true},
		"maximum":        {[]string{"  max_version: TLS12"}, &tls.Config{}, tls.VersionTLS12, "", false},
		"without HTTP/2": {[]string{"http_server_config:", "  http2: false"}, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, tls.VersionTLS13, "http/1.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(directory, "web.yaml"), append(slices.Clone(files), test.config...)...)
			s := serve(t, access.Options{WebConfig: path})
			test.client.InsecureSkipVerify = true
			dialer := tls.Dialer{Config: test.client}
			conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "https://"))
			if test.rejectedByPeer {
				if err == nil || !strings.Contains(err.Error(), "protocol version") {
					t.Errorf("%v, want a wrong protocol version", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			state := conn.(*tls.Conn).ConnectionState() //nolint:errcheck // a TLS dialer returns no other type
			if state.Version != test.version || state.NegotiatedProtocol != test.protocol {
				t.Errorf("version %x, protocol %q; want %x, %q", state.Version, state.NegotiatedProtocol, test.version, test.protocol)
			}
		})
	}
}
