package main

import "runtime/debug"

// version is set by the linker in released builds.
var version string

// versionOf returns the linker's version or else the one that the Go command stamped into the binary.
func versionOf() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
