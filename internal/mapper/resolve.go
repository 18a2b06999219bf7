package mapper

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/PabloL007/outpost/internal/textfile"
)

const (
	// lookupTimeout bounds a DNS lookup.
	lookupTimeout = 5 * time.Second
	// maxLookups bounds concurrent lookups.
	maxLookups = 32
	// maxTargetFile is the maximum length of a file of targets in bytes.
	maxTargetFile = 1 << 20
)

// resolveAll resolves all targets concurrently. The errors are by the name of the target.
func resolveAll(ctx context.Context, targets []Target) (resolved []address, errs map[string]error) {
	addresses := make([][]address, len(targets))
	failures := make([]error, len(targets))
	var lookups errgroup.Group
	lookups.SetLimit(maxLookups)
	for i, target := range targets {
		lookups.Go(func() error {
			addresses[i], failures[i] = target.resolve(ctx)
			return nil // a failure does not end the others
		})
	}
	_ = lookups.Wait()
	errs = make(map[string]error)
	for i, target := range targets {
		resolved = append(resolved, addresses[i]...)
		if failures[i] != nil {
			errs[target.name] = failures[i]
		}
	}
	return resolved, errs
}

// dnsTarget is every address of the host name of a URL.
type dnsTarget struct {
	url      *url.URL
	resolver *net.Resolver
	last     []address // of the last successful lookup
}

func (d *dnsTarget) resolve(ctx context.Context) ([]address, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", d.url.Hostname())
	if err != nil {
		return d.last, fmt.Errorf("%s cannot be looked up: %w", d.url.Hostname(), err)
	}
	resolved := make([]address, len(addrs))
	for i, addr := range addrs {
		at := *d.url
		at.Host = net.JoinHostPort(addr.Unmap().String(), d.url.Port())
		resolved[i] = address{name: strings.TrimPrefix(at.Redacted(), "http://"), url: at.String(), serverName: d.url.Hostname()}
	}
	d.last = resolved
	return resolved, nil
}

// fileTarget is a file with one target in each line. The file may change at any time.
type fileTarget struct {
	path    string
	text    []byte
	targets []Target // of text
}

func (f *fileTarget) resolve(ctx context.Context) ([]address, error) {
	err := f.read() // if it fails, the targets stay as they were
	resolved, errs := resolveAll(ctx, f.targets)
	for _, text := range slices.Sorted(maps.Keys(errs)) { // in a fixed order, so that an equal reason is an equal text
		if err == nil {
			err = errs[text]
		} else {
			err = fmt.Errorf("%w; %w", err, errs[text])
		}
	}
	return resolved, err
}

// read reads the file and parses its targets if the text changed.
func (f *fileTarget) read() error {
	text, err := textfile.Read(f.path, maxTargetFile)
	if err != nil || f.text != nil && bytes.Equal(text, f.text) {
		return err
	}
	targets, err := parseLines(text)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.targets, f.text = targets, text
	return nil
}

// comment matches a comment until the end of a line. A # inside a word, such as a password, starts none.
var comment = regexp.MustCompile(`(^|\s)#.*`)

// parseLines parses the first maxTargets targets of a file.
func parseLines(text []byte) (targets []Target, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan() && len(targets) < maxTargets; number++ {
		line := strings.TrimSpace(comment.ReplaceAllString(lines.Text(), ""))
		if line == "" {
			continue
		}
		target, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		targets = append(targets, target)
	}
	return targets, lines.Err()
}
