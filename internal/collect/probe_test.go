package collect

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/container"
)

func TestProbeReportsEachMethod(t *testing.T) {
	web := running("web", startProcess(t, "web", 0, "127.0.0.1:80"), "bridge")
	invisible := running("invisible", 0, "bridge")
	forbidden := func(context.Context, string, io.Writer) error { return container.ErrForbidden }
	for name, test := range map[string]struct {
		world   *world
		methods []Method
		want    string
	}{
		"all visible":    {&world{containers: []container.Container{web}}, nil, "sockdiag works, procfs works, exec not needed"},
		"none runs":      {&world{}, nil, "sockdiag seems to work; no running container to test it on, procfs seems to work; no running container to test it on, exec seems to work; no running container to test it on"},
		"exec alone":     {&world{containers: []container.Container{web, web, web, web}, exec: printTable(80)}, []Method{Exec}, "exec works"},
		"exec forbidden": {&world{containers: []container.Container{web}, exec: forbidden}, []Method{Exec}, "exec does not work: exec not permitted"},
		"none visible":   {&world{containers: []container.Container{invisible}, exec: printTable(80)}, nil, "sockdiag seems to work; no running container to test it on, procfs seems to work; no running container to test it on, exec seems to work; no running container to test it on"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := test.world.collector(t, test.methods...).Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, status := range result.Methods {
				got = append(got, string(status.Method)+" "+status.String())
				if status.HostWide != strings.Contains(status.String(), "not permitted") {
					t.Errorf("%+v", status)
				}
			}
			if text := strings.Join(got, ", "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
			if n := len(test.world.commands); n > 1 {
				t.Errorf("%d commands", n)
			}
		})
	}
}
