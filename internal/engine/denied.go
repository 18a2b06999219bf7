package engine

import (
	"fmt"
	"regexp"

	"github.com/containerd/errdefs"

	"github.com/PabloL007/outpost/internal/container"
)

const (
	forbiddenRemedy = "let the proxy permit GET of /_ping, /version, /events, /containers/json and /containers/{id}/json; /info and /networks are useful " +
		"too. For docker-socket-proxy: CONTAINERS=1, INFO=1 and NETWORKS=1"
	credentialsRemedy = "the engine accepts client certificates only: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to a directory with ca.pem, cert.pem and " +
		"key.pem. Outpost sends no user and password"
)

// certificateError matches texts of crypto/tls and crypto/x509. Docker's client replaces some of their errors.
var certificateError = regexp.MustCompile(`\b(?:tls: (?:certificate required|bad certificate|unknown certificate|failed to verify certificate)|x509: )`)

// explainDenial returns an error that names the cause and the remedy if the engine, or a proxy in front of it, denies access.
// Otherwise, it returns nil.
func explainDenial(operation string, err error) error {
	switch {
	case errdefs.IsPermissionDenied(err) && operation == listOperation:
		return &container.RemedyError{Err: fmt.Errorf("%w: %w", container.ErrForbidden, err), Remedy: forbiddenRemedy}
	case errdefs.IsPermissionDenied(err):
		return fmt.Errorf("%w: %w", container.ErrForbidden, err)
	case errdefs.IsUnauthorized(err), certificateError.MatchString(err.Error()):
		return &container.RemedyError{Err: fmt.Errorf("%w: %w", container.ErrUnauthorized, err), Remedy: credentialsRemedy}
	}
	return nil
}
