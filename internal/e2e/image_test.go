package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/PabloL007/outpost/internal/collect"
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

// at is a daemon that runs in a container and serves on a port of the host.
func at(t testing.TB, port int) *outpost {
	return &outpost{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
}

// answering waits until the daemon in a container of the lab lives, and returns it.
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
	if got := l.docker("run", "--rm", "--label", l.Label(), name, "version"); got != imageVersion {
		t.Errorf("version %q, want %q", got, imageVersion)
	}
	// Nothing but the binary is in it.
	container := l.docker("create", "--label", l.Label(), name)
	listing, err := exec.CommandContext(t.Context(), "sh", "-c", "docker export "+container+" | tar -t").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(listing)), "outpost") {
		t.Errorf("no binary in %q", listing)
	}
	for path := range strings.FieldsSeq(string(listing)) {
		if !regexp.MustCompile(`^(outpost|\.dockerenv|(dev|etc|proc|sys)/.*)$`).MatchString(path) { // the engine's own besides
			t.Errorf("the image holds %s", path)
		}
	}
	// It lists itself, although nothing can be run in it; and the engine finds it healthy.
	port := l.firstPort
	socket := engineSocket(t) + ":/var/run/docker.sock"
	l.run("outpost", "-p", fmt.Sprintf("127.0.0.1:%d:9057", port), "-v", socket, "--health-interval", "500ms", name)
	l.answering("outpost", port).connections().expectListening(l.Name("outpost"), []string{fmt.Sprint("127.0.0.1 ", port)})
	eventually(t, func() bool {
		return l.docker("inspect", "-f", "{{.State.Health.Status}}", l.Name("outpost")) == "healthy"
	})
	// Beside a container that shares its network it does not know which of the two it is.
	l.peer("joining", []string{"--network", "container:" + l.Name("outpost")}, "listen:tcp4:0.0.0.0:81")
	a := at(t, port).connections()
	a.expectPartial(l.Name("outpost"), []string{fmt.Sprint("127.0.0.1 ", port)}, a.established(l.Name("outpost")))
	a.expect(l.Name("joining"), nil, nil)
	l.docker("rm", "-f", l.Name("joining"))

	l.run("host", "--network", "host", "-v", socket, "-e", fmt.Sprint("OUTPOST_LISTEN=127.0.0.1:", port+1), name)
	l.answering("host", port+1).connections().expectListening(l.Name("host"), []string{fmt.Sprint("127.0.0.1 ", port+1)})
}

// The demo prints, for each of its containers, the endpoints that it has.
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
	// Three of client, one each of sidecar and agent, and two to db.
	if n := strings.Count(fmt.Sprint(a.containers["/"+part("web")].Established), db+" 5432"); n != 2 || len(a.containers["/"+part("web")].Established) != 7 {
		t.Errorf("web is connected to %v", a.containers["/"+part("web")].Established)
	}
	demo("down", l.Name("demo"))
	if left := l.docker("ps", "-aq", "--filter", "name="+l.Name("demo")); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// Every command block of the README is run, as it stands but for names and ports that may be taken.
func TestReadme(t *testing.T) {
	l := newLab(t)
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	port := l.firstPort
	replace := strings.NewReplacer(
		"--name outpost", "--label "+l.Label()+" --name "+l.Name("outpost"),
		"9057:9057", fmt.Sprint(port, ":9057"),
		"localhost:9057", fmt.Sprint("localhost:", port),
		"\n  outpost\n", "\n  "+outpostImage(t)+"\n",
	)
	runs := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		command := block[1]
		switch {
		case strings.HasPrefix(command, "make "):
			for line := range strings.Lines(command) {
				target := strings.Fields(line)[1]
				if !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("no target for %q", line)
				}
			}
		case strings.HasPrefix(command, "docker run "), strings.HasPrefix(command, "curl "):
			isRun := strings.HasPrefix(command, "docker run ")
			if isRun && runs > 0 {
				l.docker("rm", "-f", l.Name("outpost"))
			}
			output, err := exec.CommandContext(t.Context(), "sh", "-euc", replace.Replace(command)).CombinedOutput()
			if err != nil {
				t.Fatalf("%s%v: %s", command, err, output)
			}
			if isRun {
				runs++
				a := l.answering("outpost", port).connections()
				if a.incomplete(l.Name("outpost")) || len(a.containers["/"+l.Name("outpost")].Listening) == 0 {
					t.Errorf("%s: %v, Outpost-Incomplete: %s", command, a.containers["/"+l.Name("outpost")], a.header.Get("Outpost-Incomplete"))
				}
			} else if !strings.Contains(string(output), l.Name("outpost")) && !strings.Contains(string(output), "200 OK") {
				t.Errorf("%s: %s", command, output)
			}
		default:
			t.Errorf("a block that no test runs:\n%s", command)
		}
	}
	if runs < 2 {
		t.Errorf("%d blocks run the image", runs)
	}
}

// The section "Full disclosure" names exactly the commands that the code has.
func TestFullDisclosure(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(readme), "\n## Full disclosure\n")
	section, _, more := strings.Cut(section, "\n## ")
	if !ok || !more {
		t.Fatal("no section, or nothing after it")
	}
	var disclosed [][]string
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(section, -1) {
		disclosed = append(disclosed, unquoted(strings.TrimSpace(block[1])))
	}
	if got, want := fmt.Sprintf("%q", disclosed), fmt.Sprintf("%q", collect.Commands()); got != want {
		t.Errorf("disclosed:\n%s\nrun:\n%s", got, want)
	}
}

// unquoted splits a command line in which only the last word may be quoted.
func unquoted(line string) []string {
	plain, quoted, ok := strings.Cut(line, " '")
	words := strings.Fields(plain)
	if ok {
		words = append(words, strings.TrimSuffix(quoted, "'"))
	}
	return words
}
