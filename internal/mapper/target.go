package mapper

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// defaultPort is the one on which daemons serve unless they are told otherwise.
const defaultPort = "9057"

const (
	// maxTargets bounds how many daemons are polled.
	maxTargets = 10_000
	// lookupTimeout bounds the wait for a name server.
	lookupTimeout = 5 * time.Second
)

// Target is where daemons are found: one, or all behind a name or in a file. What cannot be looked up stays as it was.
type Target struct {
	text string
	find func(ctx context.Context) ([]address, error)
}

// address is one daemon's.
type address struct {
	name string // as it is shown
	url  string // without a slash at its end
	host string // that its certificate is of; empty: the URL's
}

// ParseTargets reads targets: host, host:port, http://… or https://…, dns:NAME:PORT or dns:https://NAME:PORT for every
// address behind a name, and file:PATH for a file with one target in a line.
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

// Names returns what targets are called, without passwords.
func Names(targets []Target) []string {
	texts := make([]string, len(targets))
	for i, target := range targets {
		texts[i] = target.text
	}
	return texts
}

func parseTarget(text string) (Target, error) {
	if path, ok := strings.CutPrefix(text, "file:"); ok && path != "" {
		return Target{text, (&file{path: path}).find}, nil
	}
	return parseInFile(text)
}

// parseInFile reads a target as it may stand in a file, which names no other files.
func parseInFile(text string) (Target, error) {
	if name, ok := strings.CutPrefix(text, "dns:"); ok {
		return parseBehind(name)
	}
	a, err := parseAddress(text)
	if err != nil {
		return Target{}, err
	}
	return Target{a.name, func(context.Context) ([]address, error) { return []address{a}, nil }}, nil
}

// parseBehind reads what stands behind dns:, of which every address is asked as that of the name is.
func parseBehind(text string) (Target, error) {
	a, err := parseAddress(text)
	if err == nil {
		var u *url.URL
		if u, err = url.Parse(a.url); err == nil && u.Port() != "" && (a.url == "http://"+text || strings.Contains(text, "://")) {
			return Target{"dns:" + a.name, (&behind{url: u, resolver: net.DefaultResolver}).find}, nil
		}
	}
	return Target{}, fmt.Errorf("target %q: want dns:NAME:PORT or dns:https://NAME:PORT, such as dns:tasks.outpost:9057", "dns:"+RedactUserinfo(text))
}

func parseAddress(text string) (address, error) {
	wrong := fmt.Errorf("target %q: want a host, host:port, http://… or https://…, dns:NAME:PORT or file:PATH", RedactUserinfo(text))
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(u.Path, "@") || u.RawQuery != "" || u.Fragment != "" {
			return address{}, wrong
		}
		return address{u.Redacted(), strings.TrimRight(text, "/"), ""}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if addr, parsed := netip.ParseAddr(strings.Trim(text, "[]")); parsed == nil {
		host, port, err = addr.String(), defaultPort, nil
	} else if err != nil {
		host, port, err = text, defaultPort, nil
	}
	at := net.JoinHostPort(host, port)
	if u, parsed := url.Parse("http://" + at); err != nil || host == "" || !validPort(port) || parsed != nil || u.Host != at || u.User != nil || strings.Contains(host, "%") {
		return address{}, wrong
	}
	return address{at, "http://" + at, ""}, nil
}

// RedactUserinfo returns a text without what may be a password in it.
func RedactUserinfo(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// behind is every address behind a URL's name.
type behind struct {
	url      *url.URL
	resolver *net.Resolver
	last     []address
}

func (b *behind) find(ctx context.Context) ([]address, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := b.resolver.LookupNetIP(ctx, "ip", b.url.Hostname())
	if err != nil {
		return b.last, fmt.Errorf("%s cannot be looked up: %w", b.url.Hostname(), err)
	}
	found := make([]address, len(addrs))
	for i, addr := range addrs {
		at := *b.url
		at.Host = net.JoinHostPort(addr.Unmap().String(), b.url.Port())
		found[i] = address{strings.TrimPrefix(at.Redacted(), "http://"), at.String(), b.url.Hostname()}
	}
	b.last = found
	return found, nil
}

// file is a file with one target in a line, which is read again and again.
type file struct {
	path    string
	text    []byte
	targets []Target // of text
}

// longestFile bounds a file of targets, in bytes.
const longestFile = 1 << 20

func (f *file) find(ctx context.Context) ([]address, error) {
	err := f.read() // if it cannot be read, it is as it was
	found, missing := findAll(ctx, f.targets)
	for _, reason := range missing {
		err = errors.Join(err, reason)
	}
	return found, err
}

// lookupsAtOnce bounds how many names are looked up at once.
const lookupsAtOnce = 32

// findAll finds what all targets stand for, and says why some of it is missing, by the targets' texts.
func findAll(ctx context.Context, targets []Target) (found []address, missing map[string]error) {
	results := make([][]address, len(targets))
	errs := make([]error, len(targets))
	var lookups errgroup.Group
	lookups.SetLimit(lookupsAtOnce)
	for i, target := range targets {
		lookups.Go(func() error {
			results[i], errs[i] = target.find(ctx)
			return nil // one that fails does not end the others
		})
	}
	_ = lookups.Wait()
	missing = make(map[string]error)
	for i, target := range targets {
		found = append(found, results[i]...)
		if errs[i] != nil {
			missing[target.text] = errs[i]
		}
	}
	return found, missing
}

// comment is the rest of a line; a # in a password begins none.
var comment = regexp.MustCompile(`(^|\s)#.*`)

func (f *file) read() error {
	opened, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, longestFile+1))
	if len(text) > longestFile {
		return fmt.Errorf("%s: it is longer than %d MiB", f.path, longestFile>>20)
	}
	if err != nil || f.text != nil && bytes.Equal(text, f.text) {
		return err
	}
	var targets []Target
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan() && len(targets) < maxTargets; number++ {
		text := strings.TrimSpace(comment.ReplaceAllString(lines.Text(), ""))
		if text == "" {
			continue
		}
		target, err := parseInFile(text)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", f.path, number, err)
		}
		targets = append(targets, target)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.targets, f.text = targets, text
	return nil
}
