package access

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/common/config"
)

// with returns a request with cookies of the sessions, one for each ID.
func (s *sessions) with(ids ...string) *http.Request {
	r := &http.Request{Header: make(http.Header)}
	for _, id := range ids {
		r.AddCookie(&http.Cookie{Name: s.cookie, Value: id})
	}
	return r
}

func TestSessionsEnd(t *testing.T) {
	s := newSessions()
	now := time.Now()
	s.now = func() time.Time { return now }
	id, other := s.begin(session{user: "a"}), s.begin(session{user: "b"})
	for name, test := range map[string]struct {
		ids  []string
		want string
	}{
		"no cookie": {nil, ""}, "empty": {[]string{""}, ""}, "unknown": {[]string{id + "A"}, ""}, "part": {[]string{id[1:]}, ""},
		"one": {[]string{id}, "a"}, "other": {[]string{other}, "b"}, "after an old cookie": {[]string{"old", id}, "a"},
	} {
		if opened, ok := s.of(s.with(test.ids...)); opened.user != test.want || ok != (test.want != "") {
			t.Errorf("%s: %q, %v", name, opened.user, ok)
		}
	}
	if _, ok := newSessions().of(s.with(id)); ok {
		t.Error("another process accepts the session")
	}
	s.end(s.with("old", other))
	if _, ok := s.of(s.with(other)); ok {
		t.Error("an ended session is accepted")
	}
	now = now.Add(sessionLifetime - time.Second)
	if _, ok := s.of(s.with(id)); !ok {
		t.Error("a session ended early")
	}
	now = now.Add(time.Second)
	if _, ok := s.of(s.with(id)); ok || len(s.known) != 0 {
		t.Errorf("a session after its lifetime: %v, %d are kept", ok, len(s.known))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	now := time.Now()
	s.now = func() time.Time { now = now.Add(time.Second); return now }
	ids := make(map[int]string)
	for i := range maxSessions + 2 {
		ids[i] = s.begin(session{user: fmt.Sprint(i)})
	}
	for i, want := range map[int]bool{0: false, 1: false, 2: true, maxSessions + 1: true} {
		if _, ok := s.of(s.with(ids[i])); ok != want || len(s.known) != maxSessions {
			t.Errorf("session %d is kept: %v, want %v; %d are kept", i, ok, want, len(s.known))
		}
	}
}

func TestSessionHasItsUserOnly(t *testing.T) {
	users := map[string]config.Secret{"a": "hash", "": "hash"}
	for _, test := range []struct {
		session
		want bool
	}{
		{session{user: "a", password: "hash"}, true},
		{session{user: "a", password: "old"}, false},
		{session{user: "b"}, false},
		{session{user: "", password: "hash"}, false},
		{session{token: sha256.Sum256(nil)}, false},
		{session{}, false},
	} {
		if got := test.hasUser(users); got != test.want {
			t.Errorf("%+v: %v", test.session, got)
		}
	}
}

func TestCookiePathIsThePrefix(t *testing.T) {
	for _, test := range []struct{ referer, own, want string }{
		{"", "/map/", "/"},
		{"http://host/", "/map/", "/"}, // a browser that hides the path
		{"http://host/map/", "/map/", "/"},
		{"http://host/map/?group=host", "/map/", "/"},
		{"http://host/outpost/map/?group=host", "/map/", "/outpost"},
		{"http://host/a/b-c.d/map/", "/map/", "/a/b-c.d"},
		{"http://host/outpost", "/", "/outpost"},
		{"http://host/outpost/", "/", "/outpost"},
		{"http://host", "/", "/"},
		{"http://host/outpost/connections", "/connections", "/outpost"},
		{"http://host/outpost/v1/graph.csv", "/v1/graph.csv", "/outpost"},
		{"http://host/outpost/a%2Fb", "/a%2Fb", "/outpost"},
		{"http://host/other", "/map/", "/"},
		{"http://host/a%20b/map/", "/map/", "/"},
		{"http://host/a;Domain=x/map/", "/map/", "/"},
		{"http://host//a/map/", "/map/", "/"},
		{"http://host/%", "/map/", "/"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, test.own, http.NoBody)
		r.Header.Set("Referer", test.referer)
		if got := cookiePath(r); got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.referer, test.own, got, test.want)
		}
	}
}
