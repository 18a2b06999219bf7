package access_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/access"
)

func TestRateIsLimitedPerClient(t *testing.T) {
	const rate = 5
	s := serve(t, access.Options{Rate: rate})
	rejected := 0
	for range 10 * rate {
		response, body := s.get(http.DefaultClient, "/connections")
		if response.StatusCode == http.StatusTooManyRequests {
			rejected++
			if response.Header.Get("Retry-After") == "" || !strings.Contains(body, `{"error":"too many requests`) {
				t.Errorf("%v %s", response.Header, body)
			}
		}
		s.expect(http.StatusOK, "/healthz")
	}
	if rejected == 0 {
		t.Error("no request is rejected")
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	another := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	if response, _ := s.get(another, "/connections"); response.StatusCode != http.StatusOK {
		t.Errorf("other client: %d", response.StatusCode)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) { // in a later second
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no request is answered again")
		}
	}
}

func TestConcurrentRequestsAreLimited(t *testing.T) {
	s := serve(t, access.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waiting sync.WaitGroup
	for range 256 {
		waiting.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/wait", http.NoBody)
			if response, err := http.DefaultClient.Do(request); err == nil {
				t.Errorf("%d", response.StatusCode)
				_ = response.Body.Close()
			}
		})
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode != http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no request is rejected")
		}
	}
	if response := s.expectError(http.StatusServiceUnavailable, "too many requests at once", "/connections"); response.Header.Get("Retry-After") != "1" {
		t.Errorf("%v", response.Header)
	}
	s.expect(http.StatusOK, "/healthz")
	cancel()
	waiting.Wait()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if response, _ := s.get(http.DefaultClient, "/connections"); response.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("requests are rejected although none is in flight")
		}
	}
}

// Requests to /readyz wait for the engine; they must not block /healthz.
func TestEachOpenPathHasItsOwnLimit(t *testing.T) {
	begun := make(chan struct{}, 100)
	s := serveAt(t, access.Options{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			begun <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "answer")
	}), unchanged)
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 16 {
		waiting.Go(func() {
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", http.NoBody)
			if response, err := http.DefaultClient.Do(request); err == nil {
				_ = response.Body.Close()
			}
		})
		<-begun
	}
	s.expect(http.StatusServiceUnavailable, "/readyz")
	s.expect(http.StatusOK, "/healthz")
	cancel()
	waiting.Wait()
}

func TestRateLimitOfWebConfig(t *testing.T) {
	s := serve(t, access.Options{WebConfig: file(t, "rate_limit:", "  interval: 1h", "  burst: 2"), TokenFile: file(t, token)})
	for _, status := range []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		s.expect(status, "/connections")
	}
	s.expect(http.StatusOK, "/connections", "Authorization", "Bearer "+token)
	s.expectHealthOpen()
}
