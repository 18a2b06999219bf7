package access

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/common/config"
	"golang.org/x/crypto/bcrypt"
)

// countingChecker returns a checker and the number of its comparisons.
func countingChecker() (*passwordChecker, *int) {
	checker, count := newPasswordChecker(), new(int)
	checker.compare = func(hash, password []byte) error {
		*count++
		if string(hash) == decoyHash {
			return nil // an unknown user must be rejected even with the decoy's password
		}
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	return checker, count
}

func TestRightPasswordsAreComparedOnce(t *testing.T) {
	checker, count := countingChecker()
	users := map[string]config.Secret{"a": config.Secret(newHash(t, "right"))}
	check := func(name, password string, want bool, comparisons int) {
		t.Helper()
		before := *count
		got, err := checker.check(t.Context(), users, name, password)
		if got != want || err != nil || *count-before != comparisons {
			t.Errorf("%s, %s: %v, %v after %d comparisons, want %v after %d", name, password, got, err, *count-before, want, comparisons)
		}
	}
	check("a", "right", true, 1)
	check("a", "right", true, 0)
	check("a", "wrong", false, 1)
	check("a", "wrong", false, 1)
	check("a", "right", true, 0)
	check("unknown", "fakepassword", false, 1) // takes as long as a known user
	check("unknown", "fakepassword", false, 1)
	users["a"] = config.Secret(newHash(t, "new"))
	check("a", "right", false, 1)
	check("a", "new", true, 1)
	delete(users, "a")
	check("a", "new", false, 1)
}

func TestRememberedPasswordsAreBounded(t *testing.T) {
	checker, _ := countingChecker()
	hash := config.Secret(newHash(t, "right"))
	users := make(map[string]config.Secret)
	for i := range 2 * maxVerified {
		name := fmt.Sprint(i)
		users[name] = hash
		if ok, err := checker.check(t.Context(), users, name, "right"); !ok || err != nil {
			t.Fatalf("%s: %v, %v", name, ok, err)
		}
	}
	if len(checker.verified) != maxVerified {
		t.Errorf("%d passwords are remembered, want %d", len(checker.verified), maxVerified)
	}
}

func TestPasswordChecksAtOnceAreBounded(t *testing.T) {
	checker, _ := countingChecker()
	users := map[string]config.Secret{"a": config.Secret(newHash(t, "right"))}
	if _, err := checker.check(t.Context(), users, "a", "right"); err != nil {
		t.Fatal(err)
	}
	for range maxPasswordChecks {
		checker.waiting <- struct{}{}
	}
	if ok, err := checker.check(t.Context(), users, "a", "wrong"); ok || !errors.Is(err, errTooManyChecks) {
		t.Errorf("one check too many: %v, %v", ok, err)
	}
	if ok, err := checker.check(t.Context(), users, "a", "right"); !ok || err != nil {
		t.Errorf("a remembered password waits: %v, %v", ok, err)
	}
	<-checker.waiting
	checker.running <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := checker.check(ctx, users, "a", "wrong"); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone still waits: %v, %v", ok, err)
	}
}
