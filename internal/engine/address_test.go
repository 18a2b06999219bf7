package engine_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/engine"
	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

// proxyTo returns a handler that forwards to the engine at the address of DOCKER_HOST.
func proxyTo(t *testing.T) http.Handler {
	t.Helper()
	target, err := url.Parse(strings.Replace(os.Getenv("DOCKER_HOST"), "tcp://", "http://", 1))
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(target)
}

// checkCalls lists containers and runs a command.
func checkCalls(t *testing.T, e *engine.Engine) {
	t.Helper()
	if list, err := e.Containers(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d containers, %v", len(list), err)
	}
	var output bytes.Buffer
	if _, err := e.Exec(t.Context(), enginetest.ID("it"), []string{"cat"}, &output, io.Discard); err != nil || output.String() != "hello" {
		t.Errorf("output %q, %v", output.String(), err)
	}
}

func helloContainer() *enginetest.Container {
	return &enginetest.Container{Name: "it", Exec: func([]string) enginetest.Exec { return enginetest.Exec{Stdout: "hello"} }}
}

// Every form of DOCKER_HOST serves all calls, also commands.
func TestHTTPAddress(t *testing.T) {
	enginetest.New(t, helloContainer())
	address := strings.Replace(os.Getenv("DOCKER_HOST"), "tcp://", "http://", 1)
	t.Setenv("DOCKER_HOST", address)
	e := newEngine(t)
	checkCalls(t, e)
	if e.Address() != address {
		t.Errorf("address %s, want %s", e.Address(), address)
	}
}

func TestHTTPSAddress(t *testing.T) {
	enginetest.New(t, helloContainer())
	front := httptest.NewUnstartedServer(proxyTo(t))
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // of failed handshakes
	front.StartTLS()
	t.Cleanup(front.Close)
	t.Setenv("DOCKER_HOST", front.URL)

	if _, err := newEngine(t).Containers(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v, want that of an unknown certificate", err)
	}
	t.Setenv("DOCKER_CERT_PATH", writeCertificates(t, front.Certificate()))
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	checkCalls(t, newEngine(t))
}

// An address of https:// never gets clear text.
func TestHTTPSAddressIsNeverClearText(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	first := make(chan byte, 16)
	go func() {
		defer close(first)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var b [1]byte
			_, _ = io.ReadFull(conn, b[:])
			first <- b[0]
			_ = conn.Close()
		}
	}()
	t.Setenv("DOCKER_HOST", "https://"+listener.Addr().String())
	t.Setenv("DOCKER_CERT_PATH", "")
	e := newEngine(t)
	if _, err := e.Containers(t.Context()); err == nil {
		t.Error("no error")
	}
	_ = listener.Close()
	const handshake = 0x16 // TLS record type of ClientHello
	connections := 0
	for b := range first {
		if connections++; b != handshake {
			t.Errorf("the first byte is %#x, want a TLS handshake", b)
		}
	}
	if connections == 0 {
		t.Error("no connection")
	}
}

// writeCertificates returns a directory with ca.pem for a server, and a client's certificate and key.
func writeCertificates(t *testing.T, server *x509.Certificate) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: server.Raw}, "cert.pem": {Type: "CERTIFICATE", Bytes: certificate}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyBytes},
	} {
		if err := os.WriteFile(filepath.Join(directory, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

// HTTP_PROXY is used for the engine only on request, and then errors name it without its password.
func TestProxy(t *testing.T) {
	enginetest.New(t, helloContainer())
	proxied := 0
	forward := proxyTo(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied++
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	withPassword := strings.Replace(proxy.URL, "http://", "http://alice:secret@", 1)
	for _, name := range []string{"NO_PROXY", "no_proxy", "http_proxy", "https_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("HTTP_PROXY", withPassword)
	t.Setenv("HTTPS_PROXY", withPassword)
	connect := func(host string, useProxy bool) (*engine.Engine, error) {
		t.Helper()
		t.Setenv("DOCKER_HOST", host)
		e, err := engine.New(engine.Options{MaxCalls: 4, Observe: func(string) {}, UseProxy: useProxy})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close() })
		_, err = e.Containers(t.Context())
		return e, err
	}

	const closed = "127.0.0.2:1" // "localhost" and 127.0.0.1 never take the proxy, other names do
	if _, err := connect("tcp://engine.invalid:2375", false); err == nil || proxied > 0 {
		t.Errorf("%d requests to the proxy, %v; want none, and an error of the unknown name", proxied, err)
	}
	e, err := connect("tcp://engine.invalid:2375", true)
	if err != nil || proxied == 0 {
		t.Errorf("%d requests to the proxy, %v", proxied, err)
	}
	if want := "tcp://engine.invalid:2375 through the proxy " + proxy.URL; e.Address() != want {
		t.Errorf("address %s, want %s", e.Address(), want)
	}
	if _, err := connect("https://engine.invalid:2376", true); err == nil || !strings.Contains(err.Error(), "the proxy "+proxy.URL+" answers 403 Forbidden") {
		t.Errorf("error %v, want the proxy's refusal", err)
	}
	t.Setenv("HTTP_PROXY", "http://alice:secret@"+closed)
	if _, err := connect("tcp://engine.invalid:2375", true); err == nil || !strings.Contains(err.Error(), "the proxy http://"+closed+" cannot be reached: nothing listens on "+closed) {
		t.Errorf("error %v, want the unreachable proxy", err)
	}
}
