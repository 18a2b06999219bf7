package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/config"
)

// healthcheckTimeout is shorter than an engine's usual patience with a health check.
const healthcheckTimeout = 3 * time.Second

// healthcheck returns nil if the daemon of a configuration lives. It asks this host, and nothing secret: a proxy of the
// environment is not for it, and the certificate, which names the host for others, does not matter.
func healthcheck(ctx context.Context, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	scheme, err := access.Scheme(c.WebConfig)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+c.LocalAddress()+"/healthz", http.NoBody)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
	}}
	response, err := client.Do(request)
	if wantsCertificate(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: %s", response.Status)
	}
	return nil
}

// wantsCertificate reports whether a daemon turned a client away because it showed no certificate: it lives.
func wantsCertificate(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "remote error" && // as crypto/tls writes the alerts 116 and 42
		(strings.HasSuffix(failed.Error(), "certificate required") || strings.HasSuffix(failed.Error(), "bad certificate"))
}
