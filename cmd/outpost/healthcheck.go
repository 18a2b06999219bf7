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

	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/engine"
)

// healthcheckTimeout is shorter than the usual timeout of an engine's health check.
const healthcheckTimeout = 3 * time.Second

func newHealthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit with status 0 if the daemon of this configuration is alive",
		Long: `Exit with status 0 if the daemon of this configuration is alive.
The status is 1 if the engine's socket is the file of an earlier socket: the container must be restarted to see the current one.`,
		Args:              rejectArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			err = healthcheck(cmd.Context(), c)
			if err == nil {
				err = checkEngineSocket(cmd.Context())
			}
			if err != nil {
				return fmt.Errorf("healthcheck: %w", err)
			}
			return nil
		},
	}
}

// healthcheck requests /healthz from the daemon on this host. It uses no proxy. It does not verify the certificate,
// which is for other names of this host, because it sends and receives no secret.
func healthcheck(ctx context.Context, c config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	scheme, err := access.Scheme(c.WebConfig)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+c.LocalAddress()+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // no secret is sent, see above
	}}
	response, err := client.Do(request)
	if isCertificateRequired(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// checkEngineSocket returns an error if only a restart of Outpost's container can show it the engine's socket. An engine that
// is down is no such error: the daemon waits for it.
func checkEngineSocket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	return engine.CheckSocket(ctx)
}

// isCertificateRequired reports whether a server rejected the connection for want of a client certificate, which shows
// that it is alive.
func isCertificateRequired(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "remote error" && // crypto/tls's texts for the alerts 116 and 42
		(strings.HasSuffix(failed.Error(), "certificate required") || strings.HasSuffix(failed.Error(), "bad certificate"))
}
