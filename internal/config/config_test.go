package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// unsetAll unsets all variables of Config for the test.
func unsetAll(t *testing.T) {
	t.Helper()
	for field := range reflect.TypeFor[Config]().Fields() {
		name := field.Tag.Get("envconfig")
		t.Setenv(name, "") // restores the variable after the test
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func defaults() Config {
	return Config{
		Collector: "auto",
		Listen:    ":9057",
		Timeout:   5 * time.Second,
		Workers:   min(10, 2*runtime.NumCPU()+1),
		LogLevel:  "info",

		RateLimit: 200, LogFormat: "json",
		Events: true, Window: time.Hour, MetricsMaxLinks: 2000, Interval: 10 * time.Second, StaleAfter: 5 * time.Minute,
	}
}

func TestDefaults(t *testing.T) {
	unsetAll(t)
	got, err := FromEnvironment()
	if diff := cmp.Diff(defaults(), got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestEmptyCountsAsUnset(t *testing.T) {
	unsetAll(t)
	for field := range reflect.TypeFor[Config]().Fields() {
		t.Setenv(field.Tag.Get("envconfig"), "")
	}
	got, err := FromEnvironment()
	if diff := cmp.Diff(defaults(), got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestValuesAreConverted(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ name, value, want string }{
		{"OUTPOST_INTERFACES", "10.0.2.101, 192.168.56.101,::ffff:10.0.2.101,2001:DB8::1", "[10.0.2.101 192.168.56.101 2001:db8::1]"},
		{"OUTPOST_COLLECTOR", "procfs", "procfs"},
		{"OUTPOST_PROC", "/mnt/proc", "/mnt/proc"},
		{"OUTPOST_LISTEN", "127.0.0.1:80", "127.0.0.1:80"},
		{"OUTPOST_LISTEN", "[::1]:0", "[::1]:0"},
		{"OUTPOST_WEB_CONFIG", filepath.Join(directory, "ca.pem"), filepath.Join(directory, "ca.pem")},
		{"OUTPOST_HOSTS", "Outpost.Example., b,b", "[outpost.example b]"},
		{"OUTPOST_BASE_PATH", "/outpost", "/outpost"},
		{"OUTPOST_BASE_PATH", "/tools/Outpost-2.x_~/", "/tools/Outpost-2.x_~"},
		{"OUTPOST_BASE_PATH", "/", ""},
		{"OUTPOST_BASE_PATH", "/mapper", "/mapper"},
		{"OUTPOST_CORS_ORIGINS", "https://grafana.example, http://localhost:3000", "[https://grafana.example http://localhost:3000]"},
		{"OUTPOST_RATE_LIMIT", "off", "0"},
		{"OUTPOST_RATE_LIMIT", "5", "5"},
		{"OUTPOST_PPROF", "[::1]:6060", "[::1]:6060"},
		{"LOG_FORMAT", "console", "console"},
		{"OUTPOST_TIMEOUT", "250ms", "250ms"},
		{"OUTPOST_SAMPLE_INTERVAL", "30s", "30s"},
		{"OUTPOST_SAMPLE_INTERVAL", "off", "-1ns"},
		{"OUTPOST_WINDOW", "24h", "24h0m0s"},
		{"OUTPOST_NAMES", filepath.Join(directory, "ca.pem"), filepath.Join(directory, "ca.pem")},
		{"OUTPOST_LINKS", filepath.Join(directory, "ca.pem"), filepath.Join(directory, "ca.pem")},
		{"OUTPOST_METRICS_MAX_LINKS", "0", "0"},
		{"OUTPOST_TARGETS", " a, b:80,,dns:tasks.outpost:9057", "[a b:80 dns:tasks.outpost:9057]"},
		{"OUTPOST_INTERVAL", "1m", "1m0s"},
		{"OUTPOST_STALE_AFTER", "1h", "1h0m0s"},
		{"WORKERS", "64", "64"},
		{"LOG_LEVEL", "Debug", "debug"},
		{"LOG_LEVEL", "WARNING", "warn"},
		{"LOG_LEVEL", "critical", "fatal"},
		{"DOCKER_HOST", "tcp://10.0.0.1:2375", "tcp://10.0.0.1:2375"},
		{"DOCKER_API_VERSION", "1.41", "1.41"},
		{"DOCKER_CERT_PATH", directory, directory},
		{"OUTPOST_EVENTS", "off", "false"},
		{"OUTPOST_ENGINE_PROXY", "on", "true"},
		{"OUTPOST_ENGINE_PROXY", "off", "false"},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			unsetAll(t)
			t.Setenv(test.name, test.value)
			c, err := FromEnvironment()
			if err != nil {
				t.Fatal(err)
			}
			if got := formatField(t, c, test.name); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// DOCKER_TLS_VERIFY without certificates is an error, as in Docker's own command line.
func TestVerificationNeedsCertificates(t *testing.T) {
	unsetAll(t)
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	for _, host := range []string{"", "tcp://10.0.0.1:2376", "https://10.0.0.1:2376"} {
		t.Setenv("DOCKER_HOST", host)
		const want = "DOCKER_TLS_VERIFY is set: want a directory that holds ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH"
		if _, err := FromEnvironment(); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", host, err, want)
		}
	}
	directory := t.TempDir()
	for _, name := range []string{"ca.pem", "cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DOCKER_CERT_PATH", directory)
	if c, err := FromEnvironment(); err != nil || c.DockerTLSVerify != "1" {
		t.Errorf("%q, %v", c.DockerTLSVerify, err)
	}
}

func formatField(t *testing.T, c Config, name string) string {
	t.Helper()
	value := reflect.ValueOf(c)
	for field := range value.Type().Fields() {
		if field.Tag.Get("envconfig") == name {
			return fmt.Sprint(value.FieldByIndex(field.Index).Interface())
		}
	}
	t.Fatalf("no field for %s", name)
	return ""
}

func TestWrongValuesNameTheAcceptedForm(t *testing.T) {
	for _, test := range []struct{ name, value, form string }{
		{"OUTPOST_INTERFACES", "eth0", "IP addresses"},
		{"OUTPOST_INTERFACES", "10.0.0.1,", "IP addresses"},
		{"OUTPOST_INTERFACES", "fe80::1%eth0", "IP addresses without zone"},
		{"OUTPOST_COLLECTOR", "ebpf", "auto, sockdiag, procfs or exec"},
		{"OUTPOST_PROC", "proc", "an absolute path"},
		{"OUTPOST_LISTEN", "9057", "[address]:port"},
		{"OUTPOST_LISTEN", "localhost:9057", "[address]:port"},
		{"OUTPOST_LISTEN", ":65536", "[address]:port"},
		{"OUTPOST_WEB_CONFIG", "/nonexistent", "the path of a file"},
		{"OUTPOST_TOKEN_FILE", "/", "the path of a file"},
		{"OUTPOST_HOSTS", "outpost.example:9057", "names without ports"},
		{"OUTPOST_BASE_PATH", "outpost", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "//outpost", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/outpost//", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/a//b", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/a/../b", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/.", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/outpost?x", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/outpost#x", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/out%70ost", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/out post", "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/" + strings.Repeat("x", 100), "a path of at most 100"},
		{"OUTPOST_BASE_PATH", "/v1/outpost", "not one of Outpost's own"},
		{"OUTPOST_CORS_ORIGINS", "*", "origins"},
		{"OUTPOST_CORS_ORIGINS", "https://*.example", "origins"},
		{"OUTPOST_CORS_ORIGINS", "https://grafana.example/", "origins"},
		{"OUTPOST_RATE_LIMIT", "0", "a whole number from 1 to 1000000, or off"},
		{"OUTPOST_PPROF", ":6060", "a loopback address"},
		{"OUTPOST_PPROF", "192.0.2.1:6060", "a loopback address"},
		{"LOG_FORMAT", "text", "json or console"},
		{"OUTPOST_TIMEOUT", "5", "a duration"},
		{"OUTPOST_TIMEOUT", "-1s", "from 10ms to 10m"},
		{"OUTPOST_TIMEOUT", "1h", "from 10ms to 10m"},
		{"OUTPOST_SAMPLE_INTERVAL", "never", "a duration from 1s to 1h, such as 5s, or off"},
		{"OUTPOST_SAMPLE_INTERVAL", "10ms", "from 1s to 1h"},
		{"OUTPOST_WINDOW", "1s", "from 1m to 168h"},
		{"OUTPOST_NAMES", "/nonexistent", "a file with a network and a name"},
		{"OUTPOST_LINKS", "/nonexistent", "a file with a label and a URL"},
		{"OUTPOST_METRICS_MAX_LINKS", "-1", "a whole number from 0"},
		{"OUTPOST_INTERVAL", "0", "from 1s to 1h"},
		{"OUTPOST_STALE_AFTER", "1ms", "from 1s to 168h"},
		{"OUTPOST_EVENTS", "some", "on or off"},
		{"OUTPOST_ENGINE_PROXY", "http://proxy.example:3128", "on or off"},
		{"WORKERS", "0", "a whole number from 1 to 1000"},
		{"WORKERS", "many", "a whole number"},
		{"WORKERS", "min(10, 2*cores+1)", "a whole number"},
		{"LOG_LEVEL", "chatty", "DEBUG, INFO"},
		{"DOCKER_HOST", "/var/run/docker.sock", "unix://path"},
		{"DOCKER_HOST", "ssh://host", "unix://path"},
		{"DOCKER_HOST", "tcp://[::1", "tcp://host:port"},
		{"DOCKER_HOST", "tcp://engine", "tcp://host:port"},
		{"DOCKER_HOST", "unix:///" + strings.Repeat("long/", 30), "unix://path"},
		{"DOCKER_API_VERSION", "negotiated", "a version such as 1.41"},
		{"DOCKER_API_VERSION", "newest", "a version such as 1.41"},
		{"DOCKER_CERT_PATH", "/nonexistent", "a directory"},
		{"DOCKER_CERT_PATH", t.TempDir(), "a directory that holds ca.pem"},
	} {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			unsetAll(t)
			t.Setenv(test.name, test.value)
			_, err := FromEnvironment()
			if err == nil {
				t.Fatal("no error")
			}
			line := err.Error()
			parts := []string{test.name + "=", `"` + test.value + `"`, "want ", test.form}
			if test.form == "the path of a file" { // the value may be a secret by mistake
				parts = []string{test.name + ": want ", test.form}
			}
			for _, part := range parts {
				if !strings.Contains(line, part) {
					t.Errorf("%q lacks %q", line, part)
				}
			}
			if strings.Contains(line, "\n") {
				t.Errorf("%q has more than one line", line)
			}
		})
	}
}

// A base path that begins as a path of the API would hide that path.
func TestBasePathIsNoPathOfTheAPI(t *testing.T) {
	content, err := os.ReadFile("../api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Paths map[string]any }
	if err := json.Unmarshal(content, &document); err != nil || len(document.Paths) == 0 {
		t.Fatalf("%d paths, %v", len(document.Paths), err)
	}
	for path := range document.Paths {
		segment, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if _, ok := parseBasePath("/" + segment + "/outpost"); ok {
			t.Errorf("/%s/outpost is accepted, but %s is a path of the API", segment, path)
		}
	}
}

func TestUnknownNamesUnusedVariables(t *testing.T) {
	got := Unknown([]string{"OUTPOST_INTERFACES=10.0.0.1", "OUTPOST_INTERFACE=10.0.0.1", "PATH=/bin", "OUTPOST_X"})
	if diff := cmp.Diff([]string{"OUTPOST_INTERFACE", "OUTPOST_X"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUsageNamesEveryVariable(t *testing.T) {
	var usage strings.Builder
	if err := Usage(&usage); err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		for _, tag := range []string{"envconfig", "default", "shown", "desc"} {
			if !strings.Contains(usage.String(), field.Tag.Get(tag)) {
				t.Errorf("no %q in\n%s", field.Tag.Get(tag), usage.String())
			}
		}
	}
}

func TestLocalAddressIsReachableFromThisHost(t *testing.T) {
	for listen, want := range map[string]string{
		":9057": "127.0.0.1:9057", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80", "10.0.0.1:80": "10.0.0.1:80",
	} {
		if got := (Config{Listen: listen}).LocalAddress(); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

func TestEachFieldHasOneRule(t *testing.T) {
	var c Config
	rules := make(map[string]int)
	for _, rule := range c.rules() {
		rules[rule.variable]++
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if name := field.Tag.Get("envconfig"); rules[name] != 1 {
			t.Errorf("%s has %d rules, want 1", name, rules[name])
		}
	}
	if len(rules) != reflect.TypeFor[Config]().NumField() {
		t.Errorf("%d rules for %d fields", len(rules), reflect.TypeFor[Config]().NumField())
	}
}
