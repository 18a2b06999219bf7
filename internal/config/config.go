// Package config reads the daemon's configuration from the environment.
package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// Config is the daemon's configuration. The tag shown is the default of a variable for which another one decides:
// the machine, or the Docker client.
type Config struct {
	Interfaces      Interfaces      `envconfig:"OUTPOST_INTERFACES" shown:"found, or 0.0.0.0" desc:"addresses of this host, comma-separated: what 'listening on all addresses' means to clients"`
	Collector       Collector       `envconfig:"OUTPOST_COLLECTOR" default:"auto" desc:"how to read socket tables: auto, sockdiag, procfs or exec"`
	Proc            Proc            `envconfig:"OUTPOST_PROC" shown:"/host/proc, or /proc" desc:"where the host's /proc is mounted"`
	Listen          Listen          `envconfig:"OUTPOST_LISTEN" default:":9057" desc:"address and port to serve on"`
	WebConfig       File            `envconfig:"OUTPOST_WEB_CONFIG" shown:"no TLS, no users" desc:"file with TLS, client certificates and users, in the format of Prometheus's exporter-toolkit"`
	TokenFile       File            `envconfig:"OUTPOST_TOKEN_FILE" shown:"no token" desc:"file with the tokens of those who may ask, one in each line"`
	Hosts           Hosts           `envconfig:"OUTPOST_HOSTS" shown:"looked at on loopback" desc:"names under which this server may be asked, comma-separated, beside localhost and its addresses"`
	CORSOrigins     CORSOrigins     `envconfig:"OUTPOST_CORS_ORIGINS" shown:"none" desc:"pages of other servers that may read the answers in a browser, comma-separated, such as https://grafana.example"`
	RateLimit       RateLimit       `envconfig:"OUTPOST_RATE_LIMIT" default:"200" desc:"how many requests a second each client's address may make, from 1 to 1000000, or off"`
	Timeout         Timeout         `envconfig:"OUTPOST_TIMEOUT" default:"5s" desc:"how long to wait for an answer about one container, from 10ms to 10m"`
	SampleInterval  SampleInterval  `envconfig:"OUTPOST_SAMPLE_INTERVAL" shown:"5s, 15s or off" desc:"how often connections are looked at between requests, from 1s to 1h, or off: by default 5s by sockdiag, 15s by procfs, and off by exec"`
	Window          Window          `envconfig:"OUTPOST_WINDOW" default:"1h" desc:"how long a link that is past stays in the map, from 1m to 168h"`
	Names           Names           `envconfig:"OUTPOST_NAMES" shown:"none" desc:"file of names for external addresses: a network such as 192.0.2.0/24 and a name in each line"`
	MetricsMaxLinks MetricsMaxLinks `envconfig:"OUTPOST_METRICS_MAX_LINKS" default:"2000" desc:"how many series of outpost_link_connections there are at most, from 0 to 1000000"`
	Targets         Targets         `envconfig:"OUTPOST_TARGETS" shown:"none" desc:"of outpost map: daemons to poll, comma-separated: host[:port], http://…, dns:[https://]NAME:PORT or file:PATH"`
	Interval        Interval        `envconfig:"OUTPOST_INTERVAL" default:"10s" desc:"of outpost map: how often each daemon is polled, from 1s to 1h"`
	StaleAfter      StaleAfter      `envconfig:"OUTPOST_STALE_AFTER" default:"5m" desc:"of outpost map: how long a daemon that does not answer stays in the map, from 1s to 168h"`
	TargetToken     File            `envconfig:"OUTPOST_TARGET_TOKEN_FILE" shown:"no token" desc:"file with the token that daemons are shown, by outpost map and --from"`
	TargetCA        File            `envconfig:"OUTPOST_TARGET_CA_FILE" shown:"the machine's" desc:"file with the certificates by which those of daemons are signed"`
	TargetCert      File            `envconfig:"OUTPOST_TARGET_CERT_FILE" shown:"none" desc:"file with the certificate that daemons are shown"`
	TargetKey       File            `envconfig:"OUTPOST_TARGET_KEY_FILE" shown:"none" desc:"file with its key"`
	Pprof           Pprof           `envconfig:"OUTPOST_PPROF" shown:"off" desc:"loopback address and port to serve Go's profiles on, such as 127.0.0.1:6060"`
	Workers         Workers         `envconfig:"WORKERS" shown:"min(10, 2*cores+1)" desc:"how many containers are read at once"`
	LogLevel        LogLevel        `envconfig:"LOG_LEVEL" default:"INFO" desc:"DEBUG, INFO, WARNING, ERROR or CRITICAL"`
	LogFormat       LogFormat       `envconfig:"LOG_FORMAT" default:"json" desc:"json, or console for people"`

	// What follows is read by the Docker client itself; here it is checked and explained.
	DockerHost       DockerHost       `envconfig:"DOCKER_HOST" shown:"unix:///var/run/docker.sock" desc:"address of the engine"`
	DockerAPIVersion DockerAPIVersion `envconfig:"DOCKER_API_VERSION" shown:"negotiated" desc:"version of the engine's API"`
	DockerCertPath   DockerCertPath   `envconfig:"DOCKER_CERT_PATH" shown:"no TLS" desc:"directory of ca.pem, cert.pem and key.pem"`
	DockerTLSVerify  string           `envconfig:"DOCKER_TLS_VERIFY" shown:"no" desc:"not empty: verify the engine's certificate"`
}

// FromEnvironment reads the configuration from the process's environment; an empty variable counts as unset.
// The error is one line that names the variable, its value and the accepted form.
func FromEnvironment() (Config, error) {
	var c Config
	err := envconfig.Process("", &c)
	if wrong, ok := errors.AsType[*envconfig.ParseError](err); ok {
		if wrong.TypeName == reflect.TypeFor[File]().String() { // a token in place of its file is a usual mistake
			return Config{}, fmt.Errorf("%s: want %w", wrong.KeyName, wrong.Err)
		}
		return Config{}, fmt.Errorf("%s=%q: want %w", wrong.KeyName, wrong.Value, wrong.Err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	if c.Workers == 0 {
		c.Workers = defaultWorkers()
	}
	return c, nil
}

// Unknown returns the names of those OUTPOST_ variables of environ ("NAME=value") that mean nothing.
func Unknown(environ []string) []string {
	known := make(map[string]bool)
	for field := range reflect.TypeFor[Config]().Fields() {
		known[field.Tag.Get("envconfig")] = true
	}
	var unknown []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "OUTPOST_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// usage is a table of name, default and description.
const usage = `{{range .}}  {{usage_key .}}	{{or (.Tags.Get "shown") (usage_default .)}}	{{usage_description .}}
{{end}}`

// Usage writes a line for each variable.
func Usage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := envconfig.Usagef("", &Config{}, table, usage); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	return table.Flush()
}
