package collect

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Calls that are being made while the daemon ends are cancelled and waited for, or not made at all.
func TestCloseWhileCallsAreMade(t *testing.T) {
	p := newPending(t.Context(), 4)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				_, err := await(t.Context(), p, newPatience(time.Minute, 4), call{kindExec, "it"}, func(ctx context.Context) (int, error) {
					select {
					case <-ctx.Done():
						return 0, ctx.Err()
					case <-time.After(time.Millisecond):
						return 1, nil
					}
				})
				if errors.Is(err, errClosed) {
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := p.close(t.Context()); err != nil {
		t.Error(err)
	}
	callers.Wait()
}

func TestCloseWaitsNoLongerThanAsked(t *testing.T) {
	p := newPending(t.Context(), 1)
	stubborn := make(chan struct{})
	_, err := await(t.Context(), p, newPatience(time.Millisecond, 1), call{kindExec, "it"}, func(context.Context) (int, error) {
		<-stubborn
		return 0, nil
	})
	if !unanswered(err) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(stubborn)
	if err := p.close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of two calls of one kind for one container the second is made when the first has ended.
func TestOneCallAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPending(t.Context(), 4)
		running, most := 0, 0
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				_, err := await(t.Context(), p, newPatience(time.Minute, 4), call{kindExec, "it"}, func(context.Context) (int, error) {
					running++
					most = max(most, running)
					time.Sleep(time.Second)
					running--
					return 0, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
		if most != 1 {
			t.Errorf("%d at once", most)
		}
	})
}
