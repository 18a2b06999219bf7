package config

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// File is the path of a file; empty if there is none.
type File string

// Decode checks that the file is there.
func (f *File) Decode(value string) error {
	return decodeFile(f, value, "the path of a file that is there")
}

// decodeFile reads the path of a file that is there, or none; form says what it is to be.
func decodeFile[T ~string](into *T, value, form string) error {
	if value != "" {
		if info, err := os.Stat(value); err != nil || info.IsDir() {
			return errors.New(form)
		}
	}
	*into = T(value)
	return nil
}

// Hosts are names of this server, in lower case.
type Hosts []string

// Decode reads a comma-separated list of names without ports.
func (h *Hosts) Decode(value string) error {
	return decodeList(h, value, func(text string) (string, error) {
		if strings.ContainsAny(text, ":/*@?# ") {
			return "", errors.New("names without ports, separated by commas, such as outpost.example")
		}
		return strings.ToLower(strings.TrimSuffix(text, ".")), nil
	})
}

// CORSOrigins are origins of pages, as browsers write them.
type CORSOrigins []string

// Decode reads a comma-separated list. Everybody's is none: what is served is not for everybody.
func (o *CORSOrigins) Decode(value string) error {
	return decodeList(o, value, func(text string) (string, error) {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != text || strings.Contains(text, "*") {
			return "", errors.New("origins, separated by commas, such as https://grafana.example or http://localhost:3000")
		}
		return text, nil
	})
}

// decodeList reads a comma-separated list, each entry once.
func decodeList[T ~[]string](into *T, value string, decode func(string) (string, error)) error {
	*into = nil
	for text := range strings.SplitSeq(value, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		entry, err := decode(text)
		if err != nil {
			return err
		}
		if !slices.Contains(*into, entry) {
			*into = append(*into, entry)
		}
	}
	return nil
}

// RateLimit is how many requests a second a client may make; 0 means that none are counted.
type RateLimit int

// Decode reads a number, or off.
func (r *RateLimit) Decode(value string) error {
	if value == "off" {
		*r = 0
		return nil
	}
	return decodeNumber(r, cmp.Or(value, "200"), 1, 1_000_000, "a whole number from 1 to 1000000, or off")
}

// decodeNumber reads a whole number within bounds; form says which are accepted.
func decodeNumber[T ~int](into *T, value string, least, most int, form string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return errors.New(form)
	}
	*into = T(n)
	return nil
}

// Pprof is a loopback address to serve profiles on; empty if they are not served.
type Pprof string

// Decode reads address:port. What profiles tell is for the host's own people.
func (p *Pprof) Decode(value string) error {
	if value != "" {
		addr, err := netip.ParseAddrPort(value)
		if err != nil || !addr.Addr().IsLoopback() {
			return errors.New("a loopback address and a port, such as 127.0.0.1:6060")
		}
	}
	*p = Pprof(value)
	return nil
}
