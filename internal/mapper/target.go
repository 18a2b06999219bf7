package mapper

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// defaultPort is the port on which daemons serve by default.
const defaultPort = "9057"

// maxTargets bounds the number of polled daemons.
const maxTargets = 10_000

// Target is one daemon, or all daemons of a DNS name or a file.
type Target struct {
	name string // without a password
	// resolve returns the current daemons. With an error, it returns those of the last success too.
	resolve func(ctx context.Context) ([]address, error)
}

// address is the address of one daemon.
type address struct {
	name       string // without a password
	url        string // without a trailing slash
	serverName string // that the certificate must have; empty for the host of url
}

// ParseTargets parses targets of these forms:
//   - host, host:port, http://… or https://… for one daemon
//   - dns:NAME:PORT or dns:https://NAME:PORT for a daemon at each address of a DNS name
//   - file:PATH for a file with one target in each line
func ParseTargets(texts []string) ([]Target, error) {
	targets := make([]Target, 0, len(texts))
	for _, text := range texts {
		target, err := parseTarget(text)
		if err != nil {
			return nil, err
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// Names returns the names of targets, without passwords.
func Names(targets []Target) []string {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i] = target.name
	}
	return names
}

func parseTarget(text string) (Target, error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok && path != "" {
		return Target{text, (&fileTarget{path: path}).resolve}, nil
	}
	return parseLine(text)
}

// parseLine parses a target in a file, which cannot be another file.
func parseLine(text string) (Target, error) {
	if name, ok := strings.CutPrefix(text, "dns:"); ok {
		return parseDNSTarget(name)
	}
	a, err := parseAddress(text)
	if err != nil {
		return Target{}, err
	}
	return Target{a.name, func(context.Context) ([]address, error) { return []address{a}, nil }}, nil
}

// parseDNSTarget parses the part of a target after dns:.
func parseDNSTarget(text string) (Target, error) {
	a, err := parseAddress(text)
	if err == nil {
		var u *url.URL
		if u, err = url.Parse(a.url); err == nil && u.Port() != "" && (a.url == "http://"+text || strings.Contains(text, "://")) {
			return Target{"dns:" + a.name, (&dnsTarget{url: u, resolver: net.DefaultResolver}).resolve}, nil
		}
	}
	return Target{}, fmt.Errorf("target %q: want dns:NAME:PORT or dns:https://NAME:PORT, such as dns:tasks.outpost:9057", "dns:"+RedactUserinfo(text))
}

func parseAddress(text string) (address, error) {
	invalid := fmt.Errorf("target %q: want a host, host:port, http://… or https://…, dns:NAME:PORT or file:PATH", RedactUserinfo(text))
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Port() != "" && !isPort(u.Port()) || strings.Contains(u.Path, "@") || strings.ContainsAny(text, "?#") {
			return address{}, invalid
		}
		return address{name: u.Redacted(), url: strings.TrimRight(text, "/")}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if addr, addrErr := netip.ParseAddr(strings.Trim(text, "[]")); addrErr == nil {
		host, port, err = addr.String(), defaultPort, nil
	} else if err != nil {
		host, port, err = text, defaultPort, nil
	}
	hostPort := net.JoinHostPort(host, port)
	if u, urlErr := url.Parse("http://" + hostPort); err != nil || host == "" || !isPort(port) || urlErr != nil || u.Host != hostPort || u.User != nil || strings.Contains(host, "%") {
		return address{}, invalid
	}
	return address{name: hostPort, url: "http://" + hostPort}, nil
}

// RedactUserinfo replaces everything before the last @ in text, because it may hold a password.
func RedactUserinfo(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}
