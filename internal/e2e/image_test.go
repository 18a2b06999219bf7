package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// outpostImage returns the daemon's image.
func outpostImage(t testing.TB) string {
	t.Helper()
	name, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// at returns a daemon that runs in a container and serves on a port of the host.
func at(t testing.TB, port int) *outpost {
	return &outpost{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
}

// answering waits until the daemon in a container of the lab is alive, and returns it.
func (l *testLab) answering(part string, port int) *outpost {
	l.t.Helper()
	eventually(l.t, func() bool {
		_, err := l.Docker(l.t.Context(), "exec", l.Name(part), "/outpost", "healthcheck")
		return err == nil
	})
	return at(l.t, port)
}

func TestImage(t *testing.T) {
	l := newLab(t)
	name := outpostImage(t)
	if got := l.docker("run", "--rm", "--label", l.Label(), name, "version"); got != imageVersion() {
		t.Errorf("version %q, want %q", got, imageVersion())
	}
	// The image holds only the binary.
	container := l.docker("create", "--label", l.Label(), name)
	listing, err := exec.CommandContext(t.Context(), "sh", "-c", "docker export "+container+" | tar -t").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(listing)), "outpost") {
		t.Errorf("no binary in %q", listing)
	}
	for path := range strings.FieldsSeq(string(listing)) {
		if !regexp.MustCompile(`^(outpost|\.dockerenv|(dev|etc|proc|sys)/.*)$`).MatchString(path) { // the engine adds all but the binary
			t.Errorf("the image holds %s", path)
		}
	}
	// It lists itself, although no command can run in it, and the engine finds it healthy.
	port := l.firstPort
	socket := engineSocket(t) + ":/var/run/docker.sock"
	l.run("outpost", "-p", fmt.Sprintf("127.0.0.1:%d:9057", port), "-v", socket, "--health-interval", "500ms", name)
	l.answering("outpost", port).connections().expectListening(l.Name("outpost"), []string{fmt.Sprint("127.0.0.1 ", port)})
	eventually(t, func() bool {
		return l.docker("inspect", "-f", "{{.State.Health.Status}}", l.Name("outpost")) == "healthy"
	})
	// It cannot distinguish itself from a container that shares its network.
	l.peer("joining", []string{"--network", "container:" + l.Name("outpost")}, "listen:tcp4:0.0.0.0:81")
	a := at(t, port).connections()
	a.expectPartial(l.Name("outpost"), []string{fmt.Sprint("127.0.0.1 ", port)}, a.established(l.Name("outpost")))
	a.expect(l.Name("joining"), nil, nil)
	l.docker("rm", "-f", l.Name("joining"))

	l.run("host", "--network", "host", "-v", socket, "-e", fmt.Sprint("OUTPOST_LISTEN=127.0.0.1:", port+1), name)
	l.answering("host", port+1).connections().expectListening(l.Name("host"), []string{fmt.Sprint("127.0.0.1 ", port+1)})
}

// The demo prints the endpoints of each of its containers.
func TestDemo(t *testing.T) {
	l := newLab(t)
	port := l.firstPort
	demo := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "go", append([]string{"run", "../demo"}, args...)...)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		return string(output)
	}
	printed := demo("up", outpostImage(t), l.Name("demo"), fmt.Sprint(port))
	t.Cleanup(func() {
		_ = exec.CommandContext(context.WithoutCancel(t.Context()), "go", "run", "../demo", "down", l.Name("demo")).Run()
	})
	_, list, _ := strings.Cut(printed, "/connections\n")
	a, err := decodeAnswer(t, list)
	if err != nil {
		t.Fatal(err)
	}
	web := fmt.Sprint(port + 1)
	address := regexp.MustCompile(`OUTPOST_INTERFACES=(\S+)`).FindStringSubmatch(printed)[1]
	part := func(name string) string { return l.Name("demo-" + name) }
	db := l.address("demo-db")
	a.expect(part("client"), nil, []string{address + " " + web, address + " " + web, address + " " + web})
	a.expect(part("agent"), []string{fmt.Sprint(address, " ", port+3)}, []string{address + " " + web})
	a.expect(part("sidecar"), []string{fmt.Sprint(address, " ", port+2)}, []string{"127.0.0.1 8080"})
	a.expectListening(part("web"), []string{address + " " + web})
	a.expectListening(part("db"), nil)
	a.expectListening(part("outpost"), []string{fmt.Sprint(address, " ", port)})
	// Three from client, one each from sidecar and agent, and two to db.
	if n := strings.Count(fmt.Sprint(a.containers["/"+part("web")].Established), db+" 5432"); n != 2 || len(a.containers["/"+part("web")].Established) != 7 {
		t.Errorf("web is connected to %v", a.containers["/"+part("web")].Established)
	}
	_, table, _ := strings.Cut(list, "/outpost links\n")
	for _, link := range [][]string{
		{part("agent"), part("web"), "8080", "published", "both", "1"}, {part("client"), part("web"), "8080", "published", "client", "3"},
		{part("sidecar"), part("web"), "8080", "loopback", "both", "1"}, {part("web"), part("db"), "5432", "direct", "both", "2"},
	} {
		if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool { return slices.Equal(strings.Fields(line), link) }) {
			t.Errorf("no link %s in\n%s", link, table)
		}
	}
	t.Run("page", func(t *testing.T) { checkDemoPage(t, l, port, part, address+":"+web) }) // closes the page before the daemon ends
	demo("down", l.Name("demo"))
	if left := l.docker("ps", "-aq", "--filter", "name="+l.Name("demo")); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
