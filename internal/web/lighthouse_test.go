package web_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/PabloL007/outpost/internal/graph"
)

// BenchmarkLighthouse reports what Lighthouse measures on an emulated desktop: the scores of accessibility and performance, of 100 at
// most, and the cumulative layout shift.
func BenchmarkLighthouse(b *testing.B) {
	program, err := filepath.Abs(filepath.Join("..", "..", ".build", "lighthouse", "node_modules", "lighthouse", "cli", "index.js"))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		b.Skip("run make bench-web: ", err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		b.Skip(err)
	}
	for _, test := range []struct {
		name  string
		graph graph.Graph
	}{{"nodes=9", shop()}, {"nodes=1000", busyFleet(1000)}} {
		b.Run(test.name, func(b *testing.B) {
			_, address := serve(b, test.graph)
			for b.Loop() {
				command := exec.CommandContext(b.Context(), "node", program, address, "--output=json", "--quiet", "--preset=desktop",
					"--only-categories=performance,accessibility", "--chrome-flags=--headless --no-sandbox --disable-gpu")
				command.Env = append(os.Environ(), "CHROME_PATH="+chromium)
				command.Stderr = os.Stderr
				output, err := command.Output()
				if err != nil {
					b.Fatal(err)
				}
				report(b, output)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// report reports the figures of an answer of Lighthouse, and logs the audits of accessibility that fail.
func report(b *testing.B, output []byte) {
	b.Helper()
	var answer struct {
		Categories map[string]struct {
			Score     float64
			AuditRefs []struct {
				ID     string
				Weight float64
			}
		}
		Audits map[string]struct {
			Score        *float64
			NumericValue float64
		}
	}
	if err := json.Unmarshal(output, &answer); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(100*answer.Categories["accessibility"].Score, "accessibility")
	b.ReportMetric(100*answer.Categories["performance"].Score, "performance")
	b.ReportMetric(answer.Audits["cumulative-layout-shift"].NumericValue, "layout-shift")
	for name, category := range answer.Categories {
		for _, audit := range category.AuditRefs {
			if score := answer.Audits[audit.ID].Score; audit.Weight > 0 && score != nil && *score < 0.9 {
				b.Logf("%s: %s has the score %.2f, value %.0f", name, audit.ID, *score, answer.Audits[audit.ID].NumericValue)
			}
		}
	}
}
