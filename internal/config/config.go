// Package config reads Outpost's configuration from the environment.
//
// The section "Adding a variable" of README.md lists the steps to add one.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Config is the configuration of the daemon, the mapper and the commands. Each field is one variable; an empty variable
// counts as unset.
//
// The tag default is the value of an unset variable. The tag shown replaces it in the help, where the default depends
// on the machine or on the Docker client; without a default, the field keeps its zero value.
type Config struct {
	Interfaces      []netip.Addr  `envconfig:"OUTPOST_INTERFACES" shown:"found, or 0.0.0.0" desc:"addresses of this host, comma-separated: what 'listening on all addresses' means to clients"`
	Collector       string        `envconfig:"OUTPOST_COLLECTOR" default:"auto" desc:"how to read socket tables: auto, sockdiag, procfs or exec"`
	Proc            string        `envconfig:"OUTPOST_PROC" shown:"/host/proc, or /proc" desc:"where the host's /proc is mounted"`
	Listen          string        `envconfig:"OUTPOST_LISTEN" default:":9057" desc:"address and port to serve on"`
	WebConfig       string        `envconfig:"OUTPOST_WEB_CONFIG" shown:"no TLS, no users" desc:"file with TLS, client certificates and users, in the format of Prometheus's exporter-toolkit"`
	TokenFile       string        `envconfig:"OUTPOST_TOKEN_FILE" shown:"no token" desc:"file with the tokens that clients may send, one in each line"`
	Hosts           []string      `envconfig:"OUTPOST_HOSTS" shown:"checked on loopback" desc:"names of this server that requests may use, comma-separated, beside localhost and its addresses"`
	BasePath        string        `envconfig:"OUTPOST_BASE_PATH" shown:"none" desc:"path below which a reverse proxy shows this server without removing it, such as /outpost"`
	CORSOrigins     []string      `envconfig:"OUTPOST_CORS_ORIGINS" shown:"none" desc:"pages of other servers that may read the answers in a browser, comma-separated, such as https://grafana.example"`
	RateLimit       int           `envconfig:"OUTPOST_RATE_LIMIT" default:"200" desc:"how many requests a second each client's address may make, from 1 to 1000000, or off"`
	Timeout         time.Duration `envconfig:"OUTPOST_TIMEOUT" default:"5s" desc:"how long to wait for an answer about one container, from 10ms to 10m"`
	SampleInterval  time.Duration `envconfig:"OUTPOST_SAMPLE_INTERVAL" shown:"5s, 15s or off" desc:"how often to sample connections between requests, from 1s to 1h, or off: by default 5s with sockdiag, 15s with procfs, and off with exec"`
	Events          bool          `envconfig:"OUTPOST_EVENTS" default:"on" desc:"count all connections by the kernel's events, where Outpost may hear them: on or off"`
	Window          time.Duration `envconfig:"OUTPOST_WINDOW" default:"1h" desc:"how long past links stay in the map, from 1m to 168h"`
	Names           string        `envconfig:"OUTPOST_NAMES" shown:"none" desc:"file of names for external addresses: a network such as 192.0.2.0/24 and a name in each line"`
	Links           string        `envconfig:"OUTPOST_LINKS" shown:"none" desc:"file of links from containers to other programs: a label and a URL such as https://logs.example/{name} in each line"`
	MetricsMaxLinks int           `envconfig:"OUTPOST_METRICS_MAX_LINKS" default:"2000" desc:"maximum number of outpost_link_connections series, from 0 to 1000000"`
	Targets         []string      `envconfig:"OUTPOST_TARGETS" shown:"none" desc:"outpost map: daemons to poll, comma-separated: host[:port], http://…, dns:[https://]NAME:PORT or file:PATH"`
	Interval        time.Duration `envconfig:"OUTPOST_INTERVAL" default:"10s" desc:"outpost map: how often to poll each daemon, from 1s to 1h"`
	StaleAfter      time.Duration `envconfig:"OUTPOST_STALE_AFTER" default:"5m" desc:"outpost map: how long a daemon that does not answer stays in the map, from 1s to 168h"`
	TargetToken     string        `envconfig:"OUTPOST_TARGET_TOKEN_FILE" shown:"no token" desc:"outpost map and --from: file with the token to send to daemons"`
	TargetCA        string        `envconfig:"OUTPOST_TARGET_CA_FILE" shown:"the machine's" desc:"outpost map and --from: file with the certificates that sign the daemons' certificates"`
	TargetCert      string        `envconfig:"OUTPOST_TARGET_CERT_FILE" shown:"none" desc:"outpost map and --from: file with the client certificate to send to daemons"`
	TargetKey       string        `envconfig:"OUTPOST_TARGET_KEY_FILE" shown:"none" desc:"outpost map and --from: file with the key of the client certificate"`
	Pprof           string        `envconfig:"OUTPOST_PPROF" shown:"off" desc:"loopback address and port to serve Go's profiles on, such as 127.0.0.1:6060"`
	EngineProxy     bool          `envconfig:"OUTPOST_ENGINE_PROXY" default:"off" desc:"reach an engine at tcp:// or https:// through the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY: on or off"`
	Workers         int           `envconfig:"WORKERS" shown:"min(10, 2*cores+1)" desc:"how many containers to read at once"`
	LogLevel        string        `envconfig:"LOG_LEVEL" default:"INFO" desc:"DEBUG, INFO, WARNING, ERROR or CRITICAL"`
	LogFormat       string        `envconfig:"LOG_FORMAT" default:"json" desc:"json, or console for people"`

	// The Docker client reads the following variables itself; FromEnvironment only checks them.
	DockerHost       string `envconfig:"DOCKER_HOST" shown:"unix:///var/run/docker.sock" desc:"address of the engine"`
	DockerAPIVersion string `envconfig:"DOCKER_API_VERSION" shown:"negotiated" desc:"version of the engine's API"`
	DockerCertPath   string `envconfig:"DOCKER_CERT_PATH" shown:"no TLS" desc:"directory of ca.pem, cert.pem and key.pem"`
	DockerTLSVerify  string `envconfig:"DOCKER_TLS_VERIFY" shown:"no" desc:"not empty: verify the engine's certificate"`
}

// The values that stand for "off", and for a default that other parts of Outpost choose.
const (
	// RateUnlimited is the RateLimit of OUTPOST_RATE_LIMIT=off: requests are not counted.
	RateUnlimited = 0
	// SampleNever is the SampleInterval of OUTPOST_SAMPLE_INTERVAL=off.
	SampleNever = time.Duration(-1)
	// SampleByMethod is the SampleInterval of an unset OUTPOST_SAMPLE_INTERVAL: the method in use decides.
	SampleByMethod = time.Duration(0)
)

// CollectorAuto is the Collector that may use every method.
const CollectorAuto = "auto"

// FromEnvironment reads the configuration from the process's environment. The error is one line that names the first
// wrong variable, its value and the accepted form.
func FromEnvironment() (Config, error) {
	values, err := readVariables()
	if err != nil {
		return Config{}, fmt.Errorf("read environment: %w", err)
	}
	c := Config{Workers: defaultWorkers()}
	for _, rule := range c.rules() {
		if value := values[rule.variable]; value != "" && !rule.set(value) {
			return Config{}, rule.wrong(value)
		}
	}
	if c.DockerTLSVerify != "" && c.DockerCertPath == "" { // Docker's client would speak clear text
		return Config{}, errors.New("DOCKER_TLS_VERIFY is set: want " + certDirectory + " in DOCKER_CERT_PATH")
	}
	return c, nil
}

// readVariables returns the value of each variable of Config, or its default. The struct that envconfig fills has
// Config's names and tags, but only strings, because the rules and not envconfig check and convert the values.
func readVariables() (map[string]string, error) {
	var fields []reflect.StructField
	for field := range reflect.TypeFor[Config]().Fields() {
		fields = append(fields, reflect.StructField{Name: field.Name, Type: reflect.TypeFor[string](), Tag: field.Tag})
	}
	texts := reflect.New(reflect.StructOf(fields))
	if err := envconfig.Process("", texts.Interface()); err != nil {
		return nil, err
	}
	values := make(map[string]string, len(fields))
	for i, field := range fields {
		value := texts.Elem().Field(i).String()
		if value == "" { // envconfig uses the default of unset variables only
			value = field.Tag.Get("default")
		}
		values[field.Tag.Get("envconfig")] = value
	}
	return values, nil
}

// defaultWorkers returns the default of the original Outpost.
func defaultWorkers() int { return min(10, 2*runtime.NumCPU()+1) }

// IsMethodForced reports whether only the method Collector may be used.
func (c Config) IsMethodForced() bool { return c.Collector != CollectorAuto }

// LocalAddress returns the address and port at which this host itself reaches the server that listens on Listen.
func (c Config) LocalAddress() string {
	host, port, _ := net.SplitHostPort(c.Listen) // rules has checked the form
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
