package callpool

import (
	"testing"
	"time"
)

func TestHungCallsShortenDeadlines(t *testing.T) {
	const timeout = 32 * time.Second
	b := New(t.Context(), 2).NewBudget(timeout)
	for _, step := range []struct {
		name string
		took time.Duration
		hung bool
		want time.Duration
	}{
		{"fast answer", time.Second, false, timeout},
		{"first timeout", timeout, true, timeout * 3 / 4},
		{"further timeouts", 4 * timeout, true, 4 * time.Second}, // 4 times the slowest answer
		{"slower answer", 2 * time.Second, false, timeout / ceilingDivisor},
	} {
		b.record(step.took, step.hung)
		if got := b.nextTimeout(); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	hung := New(t.Context(), 2).NewBudget(timeout)
	hung.record(8*timeout, true)
	if got := hung.nextTimeout(); got != timeout/floorDivisor {
		t.Errorf("without any answer: %v, want %v", got, timeout/floorDivisor)
	}
}
