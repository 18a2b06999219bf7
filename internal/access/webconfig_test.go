package access

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func newHash(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWebConfigIsParsedOncePerChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yaml")
	file := &webConfigFile{path: path}
	a, b := "basic_auth_users: {a: "+newHash(t, "x")+"}", "basic_auth_users: {b: "+newHash(t, "x")+"}"
	writeFile(t, path, a)
	first, err := file.current()
	if err != nil || first.Users["a"] == "" || first.demands != (demands{user: true}) {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := file.current(); again != first || err != nil {
		t.Errorf("an unchanged file is parsed again: %v", err)
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, b) // of the same size
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	second, err := file.current()
	if err != nil || second == first || second.Users["b"] == "" {
		t.Errorf("a replaced file of equal size and time is not read: %+v, %v", second, err)
	}
}

func TestInvalidWebConfigIsAnErrorUntilItIsMended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.yaml")
	file := &webConfigFile{path: path}
	valid := "basic_auth_users: {a: " + newHash(t, "x") + "}"
	for name, text := range map[string]string{
		"not YAML":         "nonsense",
		"unknown field":    "users: {}",
		"hash":             "basic_auth_users: {a: password}",
		"header":           "http_server_config: {headers: {Server: outpost}}",
		"TLS without file": "tls_server_config: {cert_file: none.pem, key_file: none.pem}",
	} {
		writeFile(t, path, valid)
		if _, err := file.current(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
		for range 2 {
			if config, err := file.current(); err == nil || config != nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %+v, %v", name, config, err)
			}
		}
	}
	writeFile(t, path, valid)
	if _, err := file.current(); err != nil {
		t.Errorf("mended: %v", err)
	}
}
