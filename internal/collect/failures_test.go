package collect

import (
	"errors"
	"testing"
	"time"

	"github.com/PabloL007/outpost/internal/container"
)

func TestFailuresAreTriedAgainMoreAndMoreSeldom(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFailures(func() time.Time { return now })
	c := container.Container{ID: "a", StartedAt: time.Unix(1, 0)}
	boom := errors.New("boom")
	for _, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if err := f.recall(c, "cat"); err != nil {
			t.Fatalf("recalled %v when it was time to try again", err)
		}
		f.note(c, "cat", boom)
		now = now.Add(wait*time.Second - 1)
		if err := f.recall(c, "cat"); !errors.Is(err, boom) {
			t.Fatalf("forgotten after less than %d s", wait)
		}
		now = now.Add(1)
	}
	if err := f.recall(c, "sh"); err != nil {
		t.Errorf("another command: %v", err)
	}
	f.note(c, "cat", nil)
	f.note(c, "cat", boom)
	now = now.Add(firstRetry)
	if err := f.recall(c, "cat"); err != nil {
		t.Error("a success did not shorten the wait")
	}
}

func TestFinalFailuresLastAsLongAsTheContainer(t *testing.T) {
	now := time.Unix(0, 0)
	f := newFailures(func() time.Time { return now })
	c := container.Container{ID: "a", StartedAt: time.Unix(1, 0)}
	f.note(c, "cat", &explainedError{final: true})
	now = now.Add(1000 * time.Hour)
	if f.recall(c, "cat") == nil {
		t.Error("forgotten")
	}
	again := c
	again.StartedAt = time.Unix(2, 0)
	if err := f.recall(again, "cat"); err != nil {
		t.Errorf("recalled in the next life: %v", err)
	}
	f.keep(map[string]bool{"b": true})
	if len(f.failed) != 0 {
		t.Error("kept for a container that is gone")
	}
}
