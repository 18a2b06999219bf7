package access

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/config"
)

const (
	// maxSessions bounds the sessions. The oldest one makes room.
	maxSessions = 1000
	// sessionLifetime is the time from a sign-in to the end of its session.
	sessionLifetime = 7 * 24 * time.Hour
)

// session is what a browser proved at a sign-in: a token, or the password of a user. It holds hashes, which are compared with the
// files at each request, so that it ends with the token or the password.
type session struct {
	began      time.Time
	cookiePath string
	token      [sha256.Size]byte // zero for a user
	user       string            // empty for a token
	password   config.Secret     // the user's bcrypt hash
}

// hasUser reports whether the session is that of a user with an unchanged password.
func (s session) hasUser(users map[string]config.Secret) bool {
	hash, known := users[s.user]
	return s.user != "" && known && hash == s.password
}

// sessions are the sessions of this process, by the hashes of their IDs. The time of a lookup depends on a hash alone and shows
// nothing of a known ID.
type sessions struct {
	// cookie is the name of the cookie with the ID. It differs between processes, because browsers send the cookies of a host to all
	// of its ports.
	cookie string
	now    func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]session
}

func newSessions() *sessions {
	const suffixLen = 8
	name := "outpost-" + strings.ToLower(rand.Text()[:suffixLen])
	return &sessions{cookie: name, now: time.Now, known: make(map[[sha256.Size]byte]session)}
}

// begin keeps a session and returns its ID.
func (s *sessions) begin(opened session) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	opened.began = s.now()
	for len(s.known) >= maxSessions {
		delete(s.known, s.oldest())
	}
	id = rand.Text()
	s.known[sha256.Sum256([]byte(id))] = opened
	return id
}

// oldest returns the key of the session that began first.
func (s *sessions) oldest() (key [sha256.Size]byte) {
	var began time.Time
	for other, opened := range s.known {
		if began.IsZero() || opened.began.Before(began) {
			key, began = other, opened.began
		}
	}
	return key
}

// of returns the session of a request; ok reports whether it has one.
func (s *sessions) of(r *http.Request) (opened session, ok bool) {
	for _, cookie := range r.CookiesNamed(s.cookie) { // several if the page is reached by several paths
		if opened, ok = s.get(cookie.Value); ok {
			return opened, true
		}
	}
	return session{}, false
}

func (s *sessions) get(id string) (opened session, ok bool) {
	key := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	opened, ok = s.known[key]
	if ok && s.now().Sub(opened.began) >= sessionLifetime {
		delete(s.known, key)
		return session{}, false
	}
	return opened, ok
}

// end removes the sessions of a request.
func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, cookie := range r.CookiesNamed(s.cookie) {
		delete(s.known, sha256.Sum256([]byte(cookie.Value)))
	}
}
