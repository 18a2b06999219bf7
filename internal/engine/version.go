package engine

import (
	"context"
	"regexp"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api"
	dockercontainer "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/versions"
	"github.com/docker/docker/client"
)

// The versions of the API in which the calls of this package have the same form (moby api/docs/CHANGELOG.md). Docker's
// client itself ends at api.DefaultVersion.
const (
	oldestAPIVersion = "1.25" // the first with variables for a command
	newestAPIVersion = "1.56"
)

// negotiate sets the version that c speaks: the engine's, but at most api.DefaultVersion. It speaks a newer one only if the
// engine requires that.
func (e *Engine) negotiate(ctx context.Context, c *client.Client) error {
	switch ping, err := c.Ping(ctx); {
	case err == nil && isAPIVersion(ping.APIVersion) && !versions.GreaterThan(ping.APIVersion, api.DefaultVersion):
		return client.WithVersion(ping.APIVersion)(c)
	case err != nil && !isRejection(err):
		return wrapError("ping", err)
	}
	// The engine is newer than the client, or its version is unknown. Only a call with a version shows which it requires.
	e.observe(kindList)
	_, err := c.ContainerList(ctx, dockercontainer.ListOptions{Limit: 1})
	if required := requiredVersion(err); required != "" {
		return client.WithVersion(required)(c)
	}
	if err != nil && (isVersionError(err) || !isRejection(err)) {
		return wrapError(listOperation, err)
	}
	return nil
}

var apiVersion = regexp.MustCompile(`^1\.[0-9]{1,3}$`)

func isAPIVersion(text string) bool { return apiVersion.MatchString(text) }

// versionError matches the engine's answers to a version that it does not speak (moby daemon/server/middleware/version.go):
//
//	client version 1.51 is too old. Minimum supported API version is 1.53, please upgrade your client to a newer version
//	client version 1.51 is too new. Maximum supported API version is 1.41
var versionError = regexp.MustCompile(`client version \S+ is too (?:old|new)\. (?:Minimum|Maximum) supported API version is (1\.[0-9]{1,3})\b`)

func isVersionError(err error) bool {
	return errdefs.IsInvalidArgument(err) && versionError.MatchString(err.Error())
}

// requiredVersion returns the version that the engine named in an error, or "" if err is another error, or if this package does
// not speak that version.
func requiredVersion(err error) string {
	if err == nil || !isVersionError(err) {
		return ""
	}
	version := versionError.FindStringSubmatch(err.Error())[1]
	if versions.LessThan(version, oldestAPIVersion) || versions.GreaterThan(version, newestAPIVersion) {
		return ""
	}
	return version
}
