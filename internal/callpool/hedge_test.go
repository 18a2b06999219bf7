package callpool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestHedgeStartsTheNextCallAfterHalfOfTheTime(t *testing.T) {
	for name, test := range map[string]struct {
		answers []time.Duration // 0: no answer
		want    int             // candidate
		took    time.Duration
	}{
		"first answers":      {[]time.Duration{time.Second, time.Second}, 0, time.Second},
		"first hangs":        {[]time.Duration{0, time.Second}, 1, 9 * time.Second},
		"first is slow":      {[]time.Duration{10 * time.Second, 4 * time.Second}, 0, 10 * time.Second},
		"only third answers": {[]time.Duration{0, 0, time.Second}, 2, 13 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(t.Context(), 1)
				candidates := make([]int, len(test.answers))
				for i := range candidates {
					candidates[i] = i
				}
				start := time.Now()
				got, err := Hedge(t.Context(), p.NewBudget(16*time.Second), candidates, func(ctx context.Context, _ time.Time, i int) (int, error) {
					answer := test.answers[i]
					if answer == 0 {
						answer = time.Hour
					}
					select {
					case <-time.After(answer):
						return i, nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				}, func(i, _ int, err error) { t.Errorf("candidate %d failed: %v", i, err) })
				if took := time.Since(start); err != nil || got != test.want || took != test.took {
					t.Errorf("candidate %d after %v, error %v; want %d after %v", got, took, err, test.want, test.took)
				}
			})
		})
	}
}

func TestHedgeReturnsTheFirstErrorIfAllFail(t *testing.T) {
	errs := []error{errors.New("first"), errors.New("second")}
	failed := 0
	_, err := Hedge(t.Context(), New(t.Context(), 1).NewBudget(time.Minute), []int{0, 1},
		func(_ context.Context, _ time.Time, i int) (int, error) { return 0, errs[i] },
		func(i, _ int, err error) {
			if !errors.Is(err, errs[i]) {
				t.Errorf("candidate %d: %v", i, err)
			}
			failed++
		})
	if !errors.Is(err, errs[0]) || failed != 2 {
		t.Errorf("error %v, %d failures", err, failed)
	}
}
