package access

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"
	"go.yaml.in/yaml/v2"

	"github.com/PabloL007/outpost/internal/textfile"
)

// webConfig is one valid content of the web configuration file. It does not change.
type webConfig struct {
	web.Config
	demands demands
	text    []byte // what the file holds
}

// webConfigFile is the web configuration file. It parses the file once per change.
type webConfigFile struct {
	path string    // empty: there is no file
	none webConfig // what current returns without a file
	log  zerolog.Logger

	mu     sync.Mutex
	last   *webConfig // the last valid content
	reason string     // why the last read failed
}

const (
	// maxReads bounds the attempts to read a file that changes during its validation.
	maxReads = 3
	// maxWebConfig is the maximum length of a web configuration in bytes.
	maxWebConfig = 1 << 20
)

// current returns the file's present content. It compares the bytes at each call, because a time of modification and a
// size do not show every change. An invalid file is an error, whatever it held before.
func (f *webConfigFile) current() (*webConfig, error) {
	if f.path == "" {
		return &f.none, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	config, err := f.read()
	reason := ""
	if err != nil {
		reason = err.Error()
		if f.last != nil && reason != f.reason {
			f.log.Error().Str("reason", reason).Msg("Cannot read the web configuration")
		}
	}
	f.reason = reason
	return config, err
}

func (f *webConfigFile) read() (*webConfig, error) {
	for range maxReads {
		text, err := textfile.Read(f.path, maxWebConfig)
		if err != nil {
			return nil, fmt.Errorf("read web config: %w", err)
		}
		if f.last != nil && bytes.Equal(text, f.last.text) {
			return f.last, nil
		}
		config, err := parseWebConfig(f.path, text)
		if err == nil {
			err = rejectMarks(config.TLSConfig)
		}
		if err == nil {
			err = web.Validate(f.path) // checks header names, password hashes and TLS files too
		}
		if err != nil {
			return nil, fmt.Errorf("web config %s: %w", f.path, err)
		}
		again, err := textfile.Read(f.path, maxWebConfig)
		if err != nil {
			return nil, fmt.Errorf("read web config: %w", err)
		}
		if bytes.Equal(text, again) {
			f.last = config
			return config, nil
		}
	}
	return nil, fmt.Errorf("web config %s: %w", f.path, errors.New("the file is being changed"))
}

// rejectMarks returns an error if a file of certificates or keys begins with a byte order mark. exporter-toolkit reads these files
// itself. It would skip the first certificate of client_ca_file without an error.
func rejectMarks(c web.TLSConfig) error {
	for _, path := range []string{c.TLSCertPath, c.TLSKeyPath, c.ClientCAs} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path) //nolint:gosec // the user names the file
		if err != nil {
			return err
		}
		if textfile.HasMark(text) {
			return fmt.Errorf("%s begins with a byte order mark: save it without one", path)
		}
	}
	return nil
}

// parseWebConfig parses text as exporter-toolkit does, with its defaults (web/tls_config.go, getConfig).
func parseWebConfig(path string, text []byte) (*webConfig, error) {
	config := &webConfig{text: text, Config: web.Config{
		TLSConfig:  web.TLSConfig{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
		HTTPConfig: web.HTTPConfig{HTTP2: true},
	}}
	if err := yaml.UnmarshalStrict(text, &config.Config); err != nil {
		return nil, err
	}
	config.TLSConfig.SetDirectory(filepath.Dir(path))
	config.demands = toDemands(config.Config)
	return config, nil
}

// toDemands returns what config requires. A certificate that no authority has signed proves nothing.
func toDemands(config web.Config) demands {
	hasAuthority := config.TLSConfig.ClientCAs != "" || config.TLSConfig.ClientCAsText != ""
	return demands{
		user:        len(config.Users) > 0,
		certificate: hasAuthority && config.TLSConfig.ClientAuth == "RequireAndVerifyClientCert",
	}
}

// Scheme returns "https" if the web configuration at path enables TLS, and "http" if it does not or path is empty.
func Scheme(path string) (string, error) {
	if path == "" {
		return "http", nil
	}
	text, err := textfile.Read(path, maxWebConfig)
	if err != nil {
		return "", fmt.Errorf("read web config: %w", err)
	}
	config, err := parseWebConfig(path, text)
	if err != nil {
		return "", fmt.Errorf("web config %s: %w", path, err)
	}
	if config.TLSConfig.IsEnabled() {
		return "https", nil
	}
	return "http", nil
}
