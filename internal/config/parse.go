package config

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parser converts the value of a variable, which is not empty, and reports whether it is valid.
type parser[T any] func(value string) (T, bool)

// into stores what parse returns in field.
func into[T any](field *T, parse parser[T]) func(value string) bool {
	return func(value string) bool {
		parsed, ok := parse(value)
		*field = parsed
		return ok
	}
}

func anyText(value string) (string, bool) { return value, true }

func oneOf(values ...string) parser[string] {
	return func(value string) (string, bool) { return value, slices.Contains(values, value) }
}

// orOff accepts "off" for a value of its own, and else what parse accepts.
func orOff[T any](off T, parse parser[T]) parser[T] {
	return func(value string) (T, bool) {
		if value == "off" {
			return off, true
		}
		return parse(value)
	}
}

func parseSwitch(value string) (on, ok bool) { return value == "on", value == "on" || value == "off" }

func number(low, high int) parser[int] {
	return func(value string) (int, bool) {
		n, err := strconv.Atoi(value)
		return n, err == nil && n >= low && n <= high
	}
}

func duration(low, high time.Duration) parser[time.Duration] {
	return func(value string) (time.Duration, bool) {
		d, err := time.ParseDuration(value)
		return d, err == nil && d >= low && d <= high
	}
}

// list accepts a comma-separated list. Empty entries are skipped, equal ones are kept once.
func list(parse parser[string]) parser[[]string] {
	return func(value string) (entries []string, ok bool) {
		for text := range strings.SplitSeq(value, ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			entry, ok := parse(text)
			if !ok {
				return nil, false
			}
			if !slices.Contains(entries, entry) {
				entries = append(entries, entry)
			}
		}
		return entries, true
	}
}

// parseAddrs accepts a comma-separated list; equal addresses are kept once.
func parseAddrs(value string) (addrs []netip.Addr, ok bool) {
	for text := range strings.SplitSeq(value, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || addr.Zone() != "" {
			return nil, false
		}
		if addr = addr.Unmap(); !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs, true
}

func parseAbsolutePath(value string) (string, bool) { return value, filepath.IsAbs(value) }

// parseFile accepts the path of an existing file.
func parseFile(value string) (string, bool) {
	info, err := os.Stat(value)
	return value, err == nil && !info.IsDir()
}

func parseListen(value string) (string, bool) {
	host, port, err := net.SplitHostPort(value)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return value, err == nil
}

// parseLoopback accepts a loopback address with a port: profiles are only for people on this host.
func parseLoopback(value string) (string, bool) {
	addr, err := netip.ParseAddrPort(value)
	return value, err == nil && addr.Addr().IsLoopback()
}

// parseHost accepts a name without port and returns it in lower case.
func parseHost(value string) (string, bool) {
	return strings.ToLower(strings.TrimSuffix(value, ".")), !strings.ContainsAny(value, ":/*@?# ")
}

var basePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// ownPaths are the first segments of Outpost's own paths. Below such a base path, other paths would hide Outpost's own.
var ownPaths = []string{"api", "connections", "healthz", "index", "map", "metrics", "openapi.json", "readyz", "sign-out", "v1", "version"}

// parseBasePath accepts a path that nobody can write in another way, and returns it without a slash at its end. "/" is no base path.
func parseBasePath(value string) (string, bool) {
	const maxLen = 100
	if value == "/" {
		return "", true
	}
	value = strings.TrimSuffix(value, "/")
	segments := strings.Split(value, "/")
	return value, len(value) <= maxLen && basePath.MatchString(value) &&
		!slices.Contains(segments, ".") && !slices.Contains(segments, "..") && !slices.Contains(ownPaths, segments[1])
}

// parseOrigin accepts an origin as browsers write it. It rejects "*": the answers are not public.
func parseOrigin(value string) (string, bool) {
	u, err := url.Parse(value)
	return value, err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.Scheme+"://"+u.Host == value && !strings.Contains(value, "*")
}

// parseLogLevel accepts the levels of the original Outpost, and zerolog's names for them, in any case. It returns
// zerolog's name.
func parseLogLevel(value string) (string, bool) {
	switch level := strings.ToLower(value); level {
	case "debug", "info", "warn", "error", "fatal":
		return level, true
	case "warning":
		return "warn", true
	case "critical":
		return "fatal", true
	}
	return "", false
}

func parseDockerHost(value string) (string, bool) {
	const maxSocketPath = 107 // bytes, by unix(7)
	scheme, address, _ := strings.Cut(value, "://")
	switch scheme {
	case "unix":
		return value, address != "" && len(address) <= maxSocketPath
	case "tcp", "http", "https":
		parsed, err := url.Parse(value)
		return value, err == nil && parsed.Port() != ""
	}
	return "", false
}

var apiVersion = regexp.MustCompile(`^v?1\.[0-9]{1,3}$`)

func parseAPIVersion(value string) (string, bool) { return value, apiVersion.MatchString(value) }

// parseCertDirectory accepts a directory with the files that the Docker client reads.
func parseCertDirectory(value string) (string, bool) {
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if _, err := os.Stat(filepath.Join(value, name)); err != nil {
			return "", false
		}
	}
	return value, true
}
