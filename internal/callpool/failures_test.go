package callpool

import (
	"errors"
	"testing"
	"time"
)

// newTestCache returns a cache and its clock.
func newTestCache() (*FailureCache, *time.Time) {
	now := time.Unix(0, 0)
	f := NewFailureCache()
	f.now = func() time.Time { return now }
	return f, &now
}

var catKey = FailureKey{Container: "a", StartedAt: time.Unix(1, 0), Operation: "cat"}

func TestFailedOperationIsRepeatedWithBackOff(t *testing.T) {
	f, now := newTestCache()
	boom := errors.New("boom")
	for _, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if err := f.Get(catKey); err != nil {
			t.Fatalf("still cached when the retry is due: %v", err)
		}
		f.Put(catKey, boom)
		*now = now.Add(wait*time.Second - 1)
		if err := f.Get(catKey); !errors.Is(err, boom) || !IsCached(err) {
			t.Fatalf("not cached for %d s", wait)
		}
		*now = now.Add(1)
	}
	other := catKey
	other.Operation = "sh"
	if err := f.Get(other); err != nil {
		t.Errorf("another operation: %v", err)
	}
	f.Put(catKey, nil)
	f.Put(catKey, boom)
	*now = now.Add(minRetry)
	if err := f.Get(catKey); err != nil {
		t.Error("a success did not reset the back-off")
	}
}

type permanentError struct{ error }

func (permanentError) Permanent() bool { return true }

func TestPermanentFailureLastsUntilTheContainerStartsAgain(t *testing.T) {
	f, now := newTestCache()
	f.Put(catKey, permanentError{errors.New("no cat")})
	*now = now.Add(1000 * time.Hour)
	if f.Get(catKey) == nil {
		t.Error("not cached")
	}
	again := catKey
	again.StartedAt = time.Unix(2, 0)
	if err := f.Get(again); err != nil {
		t.Errorf("cached after the container started again: %v", err)
	}
	f.Retain(map[string]bool{"b": true})
	if len(f.failures) != 0 {
		t.Error("kept for a container that is gone")
	}
}

func TestForgetRemovesAllFailuresOfAContainer(t *testing.T) {
	f, _ := newTestCache()
	other := catKey
	other.Container = "b"
	f.Put(catKey, errors.New("boom"))
	f.Put(other, errors.New("boom"))
	f.Forget(catKey.Container)
	if f.Get(catKey) != nil || f.Get(other) == nil {
		t.Errorf("failures %v", f.failures)
	}
}
