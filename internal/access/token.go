package access

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode"

	"github.com/rs/zerolog"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/sys/unix"

	"github.com/PabloL007/outpost/internal/textfile"
)

const (
	// minTokenLen is in bytes: a token that can be guessed protects nothing.
	minTokenLen = 16
	// maxTokenFile is the maximum length of a token file in bytes.
	maxTokenFile = 64 << 10
)

// tokenFile is a file with one token in each line. With several tokens, a new one can be distributed before the old one
// is removed.
//
// The file is read at each request, because its time of modification and its size do not show every change. A missing
// or invalid file means no valid tokens. Only a lack of file descriptors keeps the tokens of the last read.
type tokenFile struct {
	path string
	log  zerolog.Logger

	mu     sync.Mutex
	hashes [][sha256.Size]byte
	reason string // why the last read failed
}

// has reports whether text is a token. Its time does not depend on how much of the text is right.
func (t *tokenFile) has(text string) bool { return t.hasHash(sha256.Sum256([]byte(text))) }

// hasHash reports whether hash is that of a token.
func (t *tokenFile) hasHash(hash [sha256.Size]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	reason := ""
	if err := t.read(); err != nil {
		reason = err.Error()
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
			t.hashes = nil
		}
	}
	if reason != t.reason && reason != "" {
		t.log.Error().Str("reason", reason).Int("tokens", len(t.hashes)).Msg("Cannot read the token file again")
	}
	t.reason = reason
	found := 0 // hashes have one length, which ConstantTimeCompare needs
	for _, known := range t.hashes {
		found |= subtle.ConstantTimeCompare(hash[:], known[:])
	}
	return found == 1
}

func (t *tokenFile) read() error {
	list, err := readTokens(t.path)
	if err != nil {
		return err
	}
	t.hashes = nil
	for _, token := range list {
		t.hashes = append(t.hashes, sha256.Sum256([]byte(token)))
	}
	return nil
}

// readTokens reads a token from each line that is not empty; a file without tokens is an error. Errors do not quote the
// file's content.
func readTokens(path string) (list []string, err error) {
	text, err := textfile.Read(path, maxTokenFile)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		token := strings.TrimSpace(lines.Text())
		if token != "" && (len(token) < minTokenLen || strings.ContainsFunc(token, unicode.IsSpace) || !httpguts.ValidHeaderFieldValue(token)) {
			return nil, fmt.Errorf("read tokens: %s: line %d: want at least %d characters without spaces", path, number, minTokenLen)
		}
		if token != "" {
			list = append(list, token)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read tokens: %s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read tokens: %s: no token in the file", path)
	}
	return list, nil
}

// presentedToken returns what a request presents as its token: a bearer token, or the password of basic authentication.
// A browser asks its user for a name and a password; the token is the password there, and the name is ignored.
func presentedToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	_, password, _ := r.BasicAuth()
	return password
}
