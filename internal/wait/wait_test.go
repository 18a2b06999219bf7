package wait

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestForEndsWithTheDurationOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := For(t.Context(), time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := For(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestGroupEndsWithTheGroupOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group sync.WaitGroup
		release := make(chan struct{})
		group.Go(func() { <-release })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Group(ctx, &group); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the group runs: %v", err)
		}
		close(release)
		if err := Group(t.Context(), &group); err != nil {
			t.Errorf("after the group ended: %v", err)
		}
	})
}
