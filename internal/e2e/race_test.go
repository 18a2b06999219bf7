//go:build race

package e2e

// buildFlags build the daemon: with the race detector when the tests have it.
var buildFlags = []string{"-race"}
