package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	fetchTimeout = time.Minute
	fetchLimit   = 256 << 20 // bytes
)

// fetch asks for a document.
func fetch(ctx context.Context, url string, document any) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
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
