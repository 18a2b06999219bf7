package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/mapper"
)

const (
	fetchTimeout = time.Minute
	maxAnswer    = 256 << 20 // bytes
)

// fetch requests a JSON document from a daemon or mapper, with the credentials for daemons and the token of tokenFile.
func fetch(ctx context.Context, c config.Config, tokenFile, url string, document any) error {
	transport, err := newTransport(c, tokenFile, func(t *tls.Config) http.RoundTripper {
		return &http.Transport{TLSClientConfig: t} // without a proxy, which would see the token
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
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // keeps the credentials here
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		reason := mapper.ReadReason(response.Body)
		if reason != "" {
			reason = ": " + printable(reason)
		}
		return fmt.Errorf("%s answers %s%s", request.URL.Host, response.Status, reason)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(document); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", request.URL.Host, err)
	}
	return nil
}

// checkURL checks the value of --from. The error does not quote it, because it may hold a password.
func checkURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("want an address such as http://localhost:9057")
	}
	return nil
}

// urlHost returns the host of a URL, without user and password.
func urlHost(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return u.Host
}

// printable replaces the control characters of foreign text, which could control the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// addFromFlag adds --from, which stores a URL in from.
func addFromFlag(flags *pflag.FlagSet, from *string, usage string) {
	flags.Func("from", usage, func(text string) error {
		*from = text
		return checkURL(text)
	})
}
