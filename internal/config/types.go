package config

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The errors of the Decode methods complete the sentence "want …".

// Interfaces are addresses of the host, each once; none if they are to be found.
type Interfaces []netip.Addr

// Decode reads a comma-separated list of addresses.
func (i *Interfaces) Decode(value string) error {
	*i = nil
	if value == "" {
		return nil
	}
	for text := range strings.SplitSeq(value, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || addr.Zone() != "" {
			return errors.New("IP addresses without zone, separated by commas, such as 10.0.2.101,192.168.56.101")
		}
		if addr = addr.Unmap(); !slices.Contains(*i, addr) {
			*i = append(*i, addr)
		}
	}
	return nil
}

// Collector is how socket tables are read: "auto", or the one way that may be used.
type Collector string

// Forced reports whether one way alone may be used.
func (c Collector) Forced() bool { return c != "auto" }

// Decode reads a name.
func (c *Collector) Decode(value string) error {
	if value == "" {
		value = "auto"
	}
	if !slices.Contains([]string{"auto", "sockdiag", "procfs", "exec"}, value) {
		return errors.New("auto, sockdiag, procfs or exec")
	}
	*c = Collector(value)
	return nil
}

// Proc is the directory where the host's /proc is mounted; empty if it is to be found.
type Proc string

// Decode checks the directory's form.
func (p *Proc) Decode(value string) error {
	if value != "" && !filepath.IsAbs(value) {
		return errors.New("an absolute path, such as /host/proc")
	}
	*p = Proc(value)
	return nil
}

// Listen is a TCP address to serve on.
type Listen string

// Decode reads [address]:port.
func (l *Listen) Decode(value string) error {
	if value == "" {
		value = ":9057"
	}
	host, port, err := net.SplitHostPort(value)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("[address]:port, such as :9057, 127.0.0.1:9057 or [::1]:9057")
	}
	*l = Listen(value)
	return nil
}

// Reachable returns the address at which this host itself reaches a server that listens on l.
func (l Listen) Reachable() string {
	host, port, _ := net.SplitHostPort(string(l)) // checked by Decode
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// Timeout is how long one container may take.
type Timeout time.Duration

// Decode reads a duration.
func (t *Timeout) Decode(value string) error {
	return decodeDuration(t, cmp.Or(value, "5s"), 10*time.Millisecond, 10*time.Minute, "a duration from 10ms to 10m, such as 5s")
}

// decodeDuration reads a duration within bounds; form says which are accepted.
func decodeDuration[T ~int64](into *T, value string, shortest, longest time.Duration, form string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < shortest || d > longest {
		return errors.New(form)
	}
	*into = T(d)
	return nil
}

// SampleInterval is how often connections are looked at between requests: never if it is negative, and as often as the
// way of reading allows if it is 0.
type SampleInterval time.Duration

// Decode reads a duration, or off.
func (i *SampleInterval) Decode(value string) error {
	switch value {
	case "":
		*i = 0
		return nil
	case "off":
		*i = -1
		return nil
	}
	return decodeDuration(i, value, time.Second, time.Hour, "a duration from 1s to 1h, such as 5s, or off")
}

const week = 7 * 24 * time.Hour

// Window is how long a link that is past is remembered.
type Window time.Duration

// Decode reads a duration.
func (w *Window) Decode(value string) error {
	return decodeDuration(w, cmp.Or(value, "1h"), time.Minute, week, "a duration from 1m to 168h, such as 1h")
}

// Interval is how often a mapper polls each daemon.
type Interval time.Duration

// Decode reads a duration.
func (i *Interval) Decode(value string) error {
	return decodeDuration(i, cmp.Or(value, "10s"), time.Second, time.Hour, "a duration from 1s to 1h, such as 10s")
}

// StaleAfter is how long a daemon that does not answer stays in a mapper's map.
type StaleAfter time.Duration

// Decode reads a duration.
func (s *StaleAfter) Decode(value string) error {
	return decodeDuration(s, cmp.Or(value, "5m"), time.Second, week, "a duration from 1s to 168h, such as 5m")
}

// Names is the path of a file; empty if there are no names.
type Names string

// Decode checks that the file is there.
func (n *Names) Decode(value string) error {
	return decodeFile(n, value, "a file with a network and a name in each line, such as 192.0.2.0/24 payments")
}

// MetricsMaxLinks is how many series of connections there are at most.
type MetricsMaxLinks int

// Decode reads a number.
func (m *MetricsMaxLinks) Decode(value string) error {
	return decodeNumber(m, cmp.Or(value, "2000"), 0, 1_000_000, "a whole number from 0 to 1000000")
}

// Targets are the daemons that a mapper polls.
type Targets []string

// Decode reads a comma-separated list; what a target may be is for others to say.
func (t *Targets) Decode(value string) error {
	return decodeList(t, value, func(text string) (string, error) { return text, nil })
}

// Workers is how many containers are read at once.
type Workers int

// defaultWorkers is the original Outpost's.
func defaultWorkers() Workers { return Workers(min(10, 2*runtime.NumCPU()+1)) }

// Decode reads a number.
func (w *Workers) Decode(value string) error {
	if value == "" {
		*w = defaultWorkers()
		return nil
	}
	return decodeNumber(w, value, 1, 1000, "a whole number from 1 to 1000")
}

// LogLevel is the least level that is logged, in lower case.
type LogLevel string

// Decode reads a level in any case; the names are those of the original Outpost and their usual short forms.
func (l *LogLevel) Decode(value string) error {
	switch strings.ToLower(value) {
	case "debug":
		*l = "debug"
	case "", "info":
		*l = "info"
	case "warning", "warn":
		*l = "warn"
	case "error":
		*l = "error"
	case "critical", "fatal":
		*l = "fatal"
	default:
		return errors.New("DEBUG, INFO, WARNING, ERROR or CRITICAL")
	}
	return nil
}

// LogFormat is the form of the log.
type LogFormat string

// Decode reads a name.
func (f *LogFormat) Decode(value string) error {
	value = cmp.Or(value, "json")
	if value != "json" && value != "console" {
		return errors.New("json or console")
	}
	*f = LogFormat(value)
	return nil
}

// DockerHost is the engine's address.
type DockerHost string

// Decode checks the address's form.
func (h *DockerHost) Decode(value string) error {
	if value != "" && !validDockerHost(value) {
		return errors.New("unix://path, tcp://host:port, http://host:port or https://host:port")
	}
	*h = DockerHost(value)
	return nil
}

func validDockerHost(value string) bool {
	const longestPath = 107 // of a socket, in bytes (unix(7))
	scheme, address, _ := strings.Cut(value, "://")
	switch scheme {
	case "unix":
		return address != "" && len(address) <= longestPath
	case "tcp", "http", "https":
		parsed, err := url.Parse(value)
		return err == nil && parsed.Port() != ""
	}
	return false
}

// DockerAPIVersion is the version of the engine's API; empty if it is negotiated.
type DockerAPIVersion string

var apiVersion = regexp.MustCompile(`^v?1\.[0-9]{1,3}$`)

// Decode checks the version's form.
func (v *DockerAPIVersion) Decode(value string) error {
	if value != "" && !apiVersion.MatchString(value) {
		return errors.New("a version such as 1.41")
	}
	*v = DockerAPIVersion(value)
	return nil
}

// DockerCertPath is a directory; empty if the engine is spoken to without TLS.
type DockerCertPath string

// Decode checks that the files are there.
func (p *DockerCertPath) Decode(value string) error {
	if value != "" {
		for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
			if _, err := os.Stat(filepath.Join(value, name)); err != nil {
				return errors.New("a directory that holds ca.pem, cert.pem and key.pem")
			}
		}
	}
	*p = DockerCertPath(value)
	return nil
}
