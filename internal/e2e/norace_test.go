//go:build !race

package e2e

// buildFlags build the daemon with the flags of a release.
var buildFlags = releaseFlags
