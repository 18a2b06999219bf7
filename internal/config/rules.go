package config

import (
	"fmt"
	"time"
)

// rule is how one variable is checked and stored.
type rule struct {
	variable string
	// set stores the value, which is not empty, in the Config and reports whether it is valid.
	set func(value string) bool
	// form completes the error "want …".
	form string
	// isPath keeps the value out of errors: a token in place of its file is a usual mistake.
	isPath bool
}

func (r rule) wrong(value string) error {
	if r.isPath {
		return fmt.Errorf("%s: want %s", r.variable, r.form)
	}
	return fmt.Errorf("%s=%q: want %s", r.variable, value, r.form)
}

const (
	week    = 7 * 24 * time.Hour
	million = 1_000_000
	oneFile = "the path of a file that exists"

	certDirectory = "a directory that holds ca.pem, cert.pem and key.pem"
)

// rules returns one rule for each variable; they store the values in c. The order is that of Config's fields.
func (c *Config) rules() []rule {
	return []rule{
		{variable: "OUTPOST_INTERFACES", set: into(&c.Interfaces, parseAddrs), form: "IP addresses without zone, separated by commas, such as 10.0.2.101,192.168.56.101"},
		{variable: "OUTPOST_COLLECTOR", set: into(&c.Collector, oneOf(CollectorAuto, "sockdiag", "procfs", "exec")), form: "auto, sockdiag, procfs or exec"},
		{variable: "OUTPOST_PROC", set: into(&c.Proc, parseAbsolutePath), form: "an absolute path, such as /host/proc"},
		{variable: "OUTPOST_LISTEN", set: into(&c.Listen, parseListen), form: "[address]:port, such as :9057, 127.0.0.1:9057 or [::1]:9057"},
		{variable: "OUTPOST_WEB_CONFIG", set: into(&c.WebConfig, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_TOKEN_FILE", set: into(&c.TokenFile, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_HOSTS", set: into(&c.Hosts, list(parseHost)), form: "names without ports, separated by commas, such as outpost.example"},
		{variable: "OUTPOST_BASE_PATH", set: into(&c.BasePath, parseBasePath), form: "a path of at most 100 letters, digits and -._~ that is not one of Outpost's own, such as /outpost"},
		{variable: "OUTPOST_CORS_ORIGINS", set: into(&c.CORSOrigins, list(parseOrigin)), form: "origins, separated by commas, such as https://grafana.example or http://localhost:3000"},
		{variable: "OUTPOST_RATE_LIMIT", set: into(&c.RateLimit, orOff(RateUnlimited, number(1, million))), form: "a whole number from 1 to 1000000, or off"},
		{variable: "OUTPOST_TIMEOUT", set: into(&c.Timeout, duration(10*time.Millisecond, 10*time.Minute)), form: "a duration from 10ms to 10m, such as 5s"},
		{variable: "OUTPOST_SAMPLE_INTERVAL", set: into(&c.SampleInterval, orOff(SampleNever, duration(time.Second, time.Hour))), form: "a duration from 1s to 1h, such as 5s, or off"},
		{variable: "OUTPOST_EVENTS", set: into(&c.Events, parseSwitch), form: "on or off"},
		{variable: "OUTPOST_WINDOW", set: into(&c.Window, duration(time.Minute, week)), form: "a duration from 1m to 168h, such as 1h"},
		{variable: "OUTPOST_NAMES", set: into(&c.Names, parseFile), form: "a file with a network and a name in each line, such as 192.0.2.0/24 payments"},
		{variable: "OUTPOST_LINKS", set: into(&c.Links, parseFile), form: "a file with a label and a URL in each line, such as Logs https://logs.example/{name}"},
		{variable: "OUTPOST_METRICS_MAX_LINKS", set: into(&c.MetricsMaxLinks, number(0, million)), form: "a whole number from 0 to 1000000"},
		{variable: "OUTPOST_TARGETS", set: into(&c.Targets, list(anyText)), form: "daemons, separated by commas"},
		{variable: "OUTPOST_INTERVAL", set: into(&c.Interval, duration(time.Second, time.Hour)), form: "a duration from 1s to 1h, such as 10s"},
		{variable: "OUTPOST_STALE_AFTER", set: into(&c.StaleAfter, duration(time.Second, week)), form: "a duration from 1s to 168h, such as 5m"},
		{variable: "OUTPOST_TARGET_TOKEN_FILE", set: into(&c.TargetToken, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_TARGET_CA_FILE", set: into(&c.TargetCA, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_TARGET_CERT_FILE", set: into(&c.TargetCert, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_TARGET_KEY_FILE", set: into(&c.TargetKey, parseFile), form: oneFile, isPath: true},
		{variable: "OUTPOST_PPROF", set: into(&c.Pprof, parseLoopback), form: "a loopback address and a port, such as 127.0.0.1:6060"},
		{variable: "OUTPOST_ENGINE_PROXY", set: into(&c.EngineProxy, parseSwitch), form: "on or off"},
		{variable: "WORKERS", set: into(&c.Workers, number(1, 1000)), form: "a whole number from 1 to 1000"},
		{variable: "LOG_LEVEL", set: into(&c.LogLevel, parseLogLevel), form: "DEBUG, INFO, WARNING, ERROR or CRITICAL"},
		{variable: "LOG_FORMAT", set: into(&c.LogFormat, oneOf("json", "console")), form: "json or console"},
		{variable: "DOCKER_HOST", set: into(&c.DockerHost, parseDockerHost), form: "unix://path, tcp://host:port, http://host:port or https://host:port"},
		{variable: "DOCKER_API_VERSION", set: into(&c.DockerAPIVersion, parseAPIVersion), form: "a version such as 1.41"},
		{variable: "DOCKER_CERT_PATH", set: into(&c.DockerCertPath, parseCertDirectory), form: certDirectory},
		{variable: "DOCKER_TLS_VERIFY", set: into(&c.DockerTLSVerify, anyText), form: "any text"},
	}
}
