//go:build !race

package e2e

// buildFlags build the daemon as it is released.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w"}
