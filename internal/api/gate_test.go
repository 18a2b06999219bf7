package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// As many requests pass as their answers fit; the others wait, and get 503 if it takes too long.
func TestGateBoundsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &handler{Options{Log: zerolog.Nop()}, newGates(1000)}
		release := make(chan struct{})
		inside := make(chan struct{}, 100)
		limited := h.snapshots.limit(h, func(w http.ResponseWriter, _ *http.Request) {
			inside <- struct{}{}
			<-release
			w.WriteHeader(http.StatusOK)
		})
		codes := make(chan int, 100)
		ask := func(n int) {
			for range n {
				go func() {
					w := httptest.NewRecorder()
					limited(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
					codes <- w.Code
				}()
			}
			synctest.Wait()
		}
		ask(5)
		if len(inside) != largestAtOnce {
			t.Errorf("%d large answers at once", len(inside))
		}
		time.Sleep(gateTimeout + time.Second)
		synctest.Wait()
		if len(codes) != 2 || <-codes != http.StatusServiceUnavailable || <-codes != http.StatusServiceUnavailable {
			t.Error("the requests that wait are not answered")
		}
		close(release)
		synctest.Wait()
		release, inside = make(chan struct{}), make(chan struct{}, 100)
		h.snapshots.setSize(10)
		ask(50)
		if len(inside) != 50 {
			t.Errorf("%d small answers at once", len(inside))
		}
		close(release)
		synctest.Wait()
	})
}

func TestNoGateWithoutALimit(t *testing.T) {
	h := &handler{Options{Log: zerolog.Nop()}, newGates(0)}
	called := false
	h.snapshots.setSize(1)
	h.snapshots.limit(h, func(http.ResponseWriter, *http.Request) { called = true })(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	if !called {
		t.Error("not called")
	}
}
