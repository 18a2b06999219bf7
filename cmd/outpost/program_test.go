package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runAsProgram is the variable that makes the test binary run the program in place of the tests.
const runAsProgram = "RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(runAsProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command returns the program in a process of its own. Its environment is env alone.
func command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append([]string{runAsProgram + "=1"}, env...)
	return cmd
}

// output runs the program to its end.
func output(t *testing.T, env []string, args ...string) (status int, stdout string) {
	t.Helper()
	cmd := command(t.Context(), env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("%v: %v", args, err)
	}
	if errs.Len() > 0 {
		t.Logf("%v: %s", args, errs.String())
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// startServer starts the program as a server that ends with the test, and returns its address.
func startServer(t *testing.T, env []string, args ...string) (address string) {
	t.Helper()
	address = freeAddresses(t, 1)[0]
	startServerAt(t, address, env, args...)
	return address
}

// startServerAt starts the program as a server at an address, until the test ends.
func startServerAt(t *testing.T, address string, env []string, args ...string) {
	t.Helper()
	cmd := command(context.WithoutCancel(t.Context()), append(slices.Clone(env), "OUTPOST_LISTEN="+address), args...)
	var log lockedBuffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of %v:\n%s", args, log.String())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if response, err := get(t, "http://"+address+"/healthz"); err == nil {
			_ = response.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v does not serve", args)
		}
	}
}

func get(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(request)
}

// freeAddresses returns loopback addresses with ports, ascending, that were free a moment ago.
func freeAddresses(t *testing.T, count int) []string {
	t.Helper()
	var addresses []string
	for range count {
		listener := listenAt(t, "127.0.0.1:0")
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	slices.Sort(addresses)
	return addresses
}

func listenAt(t *testing.T, address string) net.Listener {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// serveHandler serves at an address until the test ends.
func serveHandler(t *testing.T, address string, handler http.HandlerFunc) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close()
	server.Listener = listenAt(t, address)
	server.Start()
	t.Cleanup(server.Close)
}

// portIn returns the port of a TCP address.
func portIn(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
