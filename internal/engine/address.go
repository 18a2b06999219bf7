package engine

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/docker/docker/client"
	"golang.org/x/net/http/httpproxy"
)

// address is where the engine is, and how it is reached.
type address struct {
	text  string   // as the user wrote it
	host  string   // in the forms that Docker's client reaches with all calls: unix://path and tcp://host:port
	tls   bool     // also without certificates of DOCKER_CERT_PATH
	proxy *url.URL // nil: none
}

// addressFromEnv returns the address of DOCKER_HOST. Docker's client would speak clear text to https://, and could not run
// commands at http:// and https://.
func addressFromEnv(useProxy bool) (address, error) {
	a := address{text: cmp.Or(os.Getenv(client.EnvOverrideHost), client.DefaultDockerHost)}
	a.host = a.text
	for _, scheme := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(a.text, scheme+"://"); ok {
			a.host, a.tls = "tcp://"+rest, scheme == "https"
		}
	}
	endpoint, isTCP := strings.CutPrefix(a.host, "tcp://")
	if !useProxy || !isTCP {
		return a, nil
	}
	scheme := "http://"
	if a.tls || os.Getenv(client.EnvOverrideCertPath) != "" {
		scheme = "https://"
	}
	target, err := url.Parse(scheme + endpoint)
	if err == nil {
		a.proxy, err = httpproxy.FromEnvironment().ProxyFunc()(target)
	}
	return a, err
}

// String returns the address for people. It leaves out the proxy's password.
func (a address) String() string {
	if a.proxy == nil {
		return a.text
	}
	return a.text + " through the proxy " + a.proxyName()
}

func (a address) proxyName() string { return a.proxy.Scheme + "://" + a.proxy.Host }

// configure makes Docker's client use TLS and the proxy only as the address says. Otherwise it would use HTTP_PROXY. The client keeps
// n idle connections with bounded responses.
func (a address) configure(n int) client.Opt {
	return func(c *client.Client) error {
		transport, ok := c.HTTPClient().Transport.(*http.Transport)
		if !ok {
			return fmt.Errorf("unexpected transport %T", c.HTTPClient().Transport)
		}
		transport.Proxy = nil
		if a.proxy != nil {
			transport.Proxy = http.ProxyURL(a.proxy)
			transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
				if response.StatusCode != http.StatusOK {
					return &dialError{reason: "the proxy " + a.proxyName() + " answers " + response.Status}
				}
				return nil
			}
		}
		if a.tls && transport.TLSClientConfig == nil {
			transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12} // with the machine's certificates
		}
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = n, n
		transport.DialContext = withBoundedResponses(a.explainFailures(transport.DialContext))
		return nil
	}
}
