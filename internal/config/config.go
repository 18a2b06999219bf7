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
	Interfaces Interfaces `envconfig:"OUTPOST_INTERFACES" shown:"found, or 0.0.0.0" desc:"addresses of this host, comma-separated: what 'listening on all addresses' means to clients"`
	Collector  Collector  `envconfig:"OUTPOST_COLLECTOR" default:"auto" desc:"how to read socket tables: auto, sockdiag, procfs or exec"`
	Proc       Proc       `envconfig:"OUTPOST_PROC" shown:"/host/proc, or /proc" desc:"where the host's /proc is mounted"`
	Listen     Listen     `envconfig:"OUTPOST_LISTEN" default:":9057" desc:"address and port to serve on"`
	Timeout    Timeout    `envconfig:"OUTPOST_TIMEOUT" default:"5s" desc:"how long to wait for an answer about one container, from 10ms to 10m"`
	Workers    Workers    `envconfig:"WORKERS" shown:"min(10, 2*cores+1)" desc:"how many containers are read at once"`
	LogLevel   LogLevel   `envconfig:"LOG_LEVEL" default:"INFO" desc:"DEBUG, INFO, WARNING, ERROR or CRITICAL"`

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
