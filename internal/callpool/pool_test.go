package callpool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var execKey = Key{Kind: "exec", ID: "it"}

func TestCloseCancelsCallsAndRejectsNewOnes(t *testing.T) {
	p := New(t.Context(), 4)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for {
				_, err := Do(t.Context(), p.NewBudget(time.Minute), execKey, func(ctx context.Context) (int, error) {
					select {
					case <-ctx.Done():
						return 0, ctx.Err()
					case <-time.After(time.Millisecond):
						return 1, nil
					}
				})
				if errors.Is(err, ErrClosed) {
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	callers.Wait()
}

func TestCloseWaitsOnlyUntilContextEnds(t *testing.T) {
	p := New(t.Context(), 1)
	stubborn := make(chan struct{})
	_, err := Do(t.Context(), p.NewBudget(time.Millisecond), execKey, func(context.Context) (int, error) {
		<-stubborn
		return 0, nil
	})
	if !IsTimeout(err) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	close(stubborn)
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCallsWithOneKeyRunOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(t.Context(), 4)
		running, maxRunning := 0, 0
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				_, err := Do(t.Context(), p.NewBudget(time.Minute), execKey, func(context.Context) (int, error) {
					running++
					maxRunning = max(maxRunning, running)
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
		if maxRunning != 1 {
			t.Errorf("%d at once", maxRunning)
		}
	})
}

func TestAbandonedCallBlocksItsKeyUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(t.Context(), 4)
		answerAfter := func(d time.Duration) (time.Duration, error) {
			start := time.Now()
			_, err := Do(t.Context(), p.NewBudget(time.Second), execKey, func(context.Context) (int, error) {
				time.Sleep(d)
				return 0, nil
			})
			return time.Since(start), err
		}
		if took, err := answerAfter(3 * time.Second); !IsTimeout(err) || took != time.Second {
			t.Errorf("hung call: %v after %v", err, took)
		}
		took, err := answerAfter(0)
		if late, ok := errors.AsType[*TimeoutError](err); !ok || !late.NotStarted || IsTimeout(err) || took != 0 {
			t.Errorf("call beside the abandoned one: %v after %v", err, took)
		}
		time.Sleep(3 * time.Second)
		if _, err := answerAfter(0); err != nil {
			t.Errorf("call after the abandoned one: %v", err)
		}
	})
}

func TestCallerThatStopsWaitingDoesNotAbandonItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(t.Context(), 4)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := Do(ctx, p.NewBudget(time.Minute), execKey, func(context.Context) (int, error) {
			time.Sleep(2 * time.Second)
			return 0, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || p.hasAbandoned(execKey) {
			t.Errorf("error %v, abandoned %v", err, p.hasAbandoned(execKey))
		}
		time.Sleep(2 * time.Second)
	})
}
