package access

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/rs/zerolog"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/sys/unix"
)

const (
	// shortestToken is how many bytes a token has at least: one that can be guessed protects nothing.
	shortestToken = 16
	// longestFile bounds a file of tokens, in bytes.
	longestFile = 64 << 10
)

// tokens are those of a file, one in each line, so that a new one can be handed out before the old one ends. The file is
// read each time: neither its time nor its size tells for certain that it is another one. While it is not there or holds
// none, nobody is let in; a lack of descriptors alone changes nothing.
type tokens struct {
	path string
	log  zerolog.Logger

	mu     sync.Mutex
	hashes [][sha256.Size]byte
	failed string // why the file could not be read the last time
}

// hold reports whether text is a token, in a time that tells nothing of how much of it is right.
func (t *tokens) hold(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	reason := ""
	if err := t.read(); err != nil {
		reason = err.Error()
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
			t.hashes = nil
		}
	}
	if reason != t.failed && reason != "" {
		t.log.Error().Str("reason", reason).Int("tokens", len(t.hashes)).Msg("The tokens cannot be read again")
	}
	t.failed = reason
	hash, found := sha256.Sum256([]byte(text)), 0 // of equal length, whatever the text's
	for _, known := range t.hashes {
		found |= subtle.ConstantTimeCompare(hash[:], known[:])
	}
	return found == 1
}

func (t *tokens) read() error {
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

// readTokens reads a token from each line of a file that is not empty; there is at least one. No error repeats any of what
// it read.
func readTokens(path string) (list []string, err error) {
	file, err := os.Open(path) //nolint:gosec // whoever starts the program says which
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(io.LimitReader(file, longestFile))
	for number := 1; lines.Scan(); number++ {
		token := strings.TrimSpace(lines.Text())
		if token != "" && (len(token) < shortestToken || strings.ContainsFunc(token, unicode.IsSpace) || !httpguts.ValidHeaderFieldValue(token)) {
			return nil, fmt.Errorf("tokens: %s: line %d: want at least %d characters without spaces", path, number, shortestToken)
		}
		if token != "" {
			list = append(list, token)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", path, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("tokens: %s holds none", path)
	}
	return list, nil
}
