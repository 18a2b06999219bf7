package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A real Prometheus scrapes a daemon and a mapper, and has every series that they serve. Its promtool accepts the metrics.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	prometheus, promtool := foreignProgram(t, "prometheus"), foreignProgram(t, "promtool")
	daemon, mapper := startLinked(t, l)
	address := "127.0.0.1:" + l.port(0)
	startPrometheus(t, prometheus, address, daemon, mapper)
	value := func(query string) string {
		for _, series := range queryPrometheus(t, address, query) {
			return fmt.Sprint(series.Value[1])
		}
		return "none"
	}
	for role, o := range map[string]*outpost{"daemon": daemon, "mapper": mapper} {
		eventually(t, func() bool { return value(fmt.Sprintf("up{job=%q}", role)) == "1" })
		expectScraped(t, address, role, o)
		if printed := pipe(t, o.get("/metrics").body, "", promtool, "check", "metrics"); len(printed) > 0 {
			t.Errorf("%s: %s", role, printed)
		}
		link := fmt.Sprintf(`outpost_link_connections{job=%q, client=%q, server=%q, server_port="80", via="direct"}`, role, l.Name("client"), l.Name("server"))
		if got := value(link); got != "2" {
			t.Errorf("%s is %s", link, got)
		}
	}
	for query, want := range map[string]string{
		fmt.Sprintf("outpost_target_up{target=%q}", daemon.target()):                   "1",
		`histogram_quantile(0.5, outpost_collection_duration_seconds_bucket) > bool 0`: "1",
		`time() - outpost_target_last_answer_timestamp_seconds < bool 3600`:            "1",
		`count(scrape_samples_scraped > 0)`:                                            "2",
	} {
		if got := value(query); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
}

// expectScraped waits until Prometheus has exactly the series that a daemon or mapper serves.
func expectScraped(t *testing.T, address, role string, o *outpost) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var scraped []string
		for _, series := range queryPrometheus(t, address, fmt.Sprintf(`count by (__name__) ({__name__=~"outpost_.*", job=%q})`, role)) {
			scraped = append(scraped, series.Metric["__name__"])
		}
		slices.Sort(scraped)
		diff := cmp.Diff(seriesNames(o.get("/metrics").body), scraped)
		if diff == "" && len(scraped) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s (-served +scraped):\n%s", role, diff)
		}
	}
}

// startLinked starts two linked containers, a daemon, and a mapper that has them in its map.
func startLinked(t *testing.T, l *testLab) (daemon, mapper *outpost) {
	t.Helper()
	l.peer("server", nil, "listen:tcp4:0.0.0.0:80")
	l.peer("client", nil, "dial:2:"+l.address("server")+":80")
	daemon = start(t)
	mapper = startMapper(t, []string{daemon.target()})
	eventually(t, func() bool { return len(mapper.graph("?container="+l.Name("client")).Links) == 1 })
	daemon.connections() // the metrics have the last collection
	return daemon, mapper
}

// seriesNames returns the names of Outpost's series in the text format.
func seriesNames(metrics string) []string {
	names := regexp.MustCompile(`(?m)^outpost_\w+`).FindAllString(metrics, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// startPrometheus starts a Prometheus that scrapes every second and ends with the test.
func startPrometheus(t *testing.T, program, address string, daemon, mapper *outpost) {
	t.Helper()
	directory := t.TempDir()
	config := writeFile(t, filepath.Join(directory, "prometheus.yml"), fmt.Sprintf(`global: {scrape_interval: 1s}
scrape_configs:
- {job_name: daemon, static_configs: [{targets: [%q]}]}
- {job_name: mapper, static_configs: [{targets: [%q]}]}
`, daemon.target(), mapper.target()))
	command := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "data"), "--web.listen-address="+address) //nolint:noctx // it is ended with SIGTERM
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // Prometheus has its own descriptor
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil || t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Errorf("Prometheus: %v: %s", err, text)
		}
	})
}

// series is a result of a query.
type series struct {
	Metric map[string]string
	Value  [2]any // time and value
}

// queryPrometheus returns the result of an instant query, and nothing while Prometheus does not serve.
func queryPrometheus(t *testing.T, address, query string) []series {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/v1/query?query="+url.QueryEscape(query), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusServiceUnavailable {
		return nil
	}
	var answer struct{ Data struct{ Result []series } }
	body, err := io.ReadAll(response.Body)
	if err != nil || json.Unmarshal(body, &answer) != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %v: %s", query, response.Status, err, body)
	}
	return answer.Data.Result
}
