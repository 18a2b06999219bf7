package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/config"
)

const (
	fetchTimeout = time.Minute
	fetchLimit   = 256 << 20 // bytes
)

// fetch asks the daemon or mapper at an address for a document, with the credentials that are for it: tokens are those of
// the path of a file.
func fetch(ctx context.Context, c config.Config, tokens string, url string, document any) error {
	transport, err := transportOf(c, tokens, func(t *tls.Config) http.RoundTripper {
		return &http.Transport{TLSClientConfig: t} // a proxy of the environment would be shown the token
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // with credentials to elsewhere
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s%s", request.URL.Host, response.Status, reasonIn(response.Body))
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, fetchLimit)).Decode(document); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", request.URL.Host, err)
	}
	return nil
}

// reasonIn returns what an answer that is no success says of its reason, behind a colon; nothing if that cannot be read.
func reasonIn(body io.Reader) string {
	const longest = 4 << 10
	var answer struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(body, longest)).Decode(&answer); err != nil || answer.Error == "" {
		return ""
	}
	return ": " + visible(answer.Error)
}

// visible keeps foreign text from steering the terminal.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
