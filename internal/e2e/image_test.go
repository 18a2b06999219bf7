package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	if got := l.docker("run", "--rm", "--label", l.Label(), name, "version"); got != imageVersion() {
		t.Errorf("version %q, want %q", got, imageVersion())
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
	_, table, _ := strings.Cut(list, "/outpost links\n")
	for _, link := range [][]string{
		{part("agent"), part("web"), "8080", "published", "both", "1"}, {part("client"), part("web"), "8080", "published", "client", "3"},
		{part("sidecar"), part("web"), "8080", "loopback", "both", "1"}, {part("web"), part("db"), "5432", "direct", "both", "2"},
	} {
		if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool { return slices.Equal(strings.Fields(line), link) }) {
			t.Errorf("no link %s in\n%s", link, table)
		}
	}
	checkDemoPage(t, l, port, part, address+":"+web)
	demo("down", l.Name("demo"))
	if left := l.docker("ps", "-aq", "--filter", "name="+l.Name("demo")); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

// root is the top of the tree.
const root = "../.."

// documents returns the paths of all Markdown documents below the root. Those that start a daemon come first: the others
// use that daemon.
func documents(t *testing.T) []string {
	t.Helper()
	var starting, others []string
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == ".git" || entry.Name() == ".build"):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		case slices.ContainsFunc(blocks(t, path), isDockerRun):
			starting = append(starting, path)
		default:
			others = append(others, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return append(starting, others...)
}

// blocks returns the command blocks of a document.
func blocks(t *testing.T, path string) []string {
	t.Helper()
	document, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		commands = append(commands, block[1])
	}
	return commands
}

// isDockerRun reports whether a command block starts the daemon.
func isDockerRun(command string) bool { return strings.HasPrefix(command, "docker run -d") }

// notRun are the documented command lines that TestDocumentedCommands does not run, with the reason.
var notRun = map[string]string{
	"DOCKER_GROUP=$(stat -c %g /var/run/docker.sock) docker-compose up -d":                      "TestCompose runs it with names and ports of its own",
	"DOCKER_GROUP=$(stat -c %g /var/run/docker.sock) docker stack deploy -c stack.yaml outpost": "TestSwarmStack runs it on two engines",
	"install -m 755 .build/outpost /usr/local/bin/outpost":                                      "it would change the machine",
	"install -m 644 internal/deploy/outpost.service /etc/systemd/system/outpost.service":        "it would change the machine; TestSystemdUnit checks the file",
	"systemctl enable --now outpost":                                                            "no systemd runs on the test machines; TestSystemdUnit runs ExecStart",
}

// own replaces names and ports that may be taken by the lab's.
func (l *testLab) own(command string) string {
	l.t.Helper()
	port := l.firstPort
	return strings.NewReplacer(
		"--name outpost", "--label "+l.Label()+" --name "+l.Name("outpost"),
		"9057:9057", fmt.Sprint(port, ":9057"),
		"OUTPOST_LISTEN=:9057", fmt.Sprint("OUTPOST_LISTEN=:", port),
		"localhost:9057", fmt.Sprint("localhost:", port),
		"docker exec outpost ", "docker exec "+l.Name("outpost")+" ",
		"container=outpost", "container="+l.Name("outpost"),
		"\n  outpost\n", "\n  "+outpostImage(l.t)+"\n",
		" outpost diff", " --label "+l.Label()+" "+outpostImage(l.t)+" diff",
	).Replace(command)
}

func (l *testLab) shell(command string) string {
	l.t.Helper()
	shell := exec.CommandContext(l.t.Context(), "sh", "-euc", l.own(command))
	shell.Dir = l.t.TempDir() // for the files that it writes
	output, err := shell.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s%v: %s", command, err, output)
	}
	return string(output)
}

// Every command block of every document is run, unchanged except for names and ports that may be taken. Of make, the target
// has to exist: most targets build or test everything.
func TestDocumentedCommands(t *testing.T) {
	l := newLab(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	unused := maps.Clone(notRun)
	for _, path := range documents(t) {
		for _, command := range blocks(t, path) {
			switch strings.Fields(command)[0] + " " + strings.Fields(command)[1] {
			case "docker run":
				if l.docker("ps", "-aq", "--filter", "name="+l.Name("outpost")) != "" {
					l.docker("rm", "-f", l.Name("outpost"))
				}
				l.shell(command)
				a := l.answering("outpost", l.firstPort).connections()
				if a.incomplete(l.Name("outpost")) || len(a.containers["/"+l.Name("outpost")].Listening) == 0 {
					t.Errorf("%s: %s: %v, Outpost-Incomplete: %s", path, command, a.containers["/"+l.Name("outpost")], a.header.Get("Outpost-Incomplete"))
				}
			case "curl -s", "curl -si", "docker exec":
				comparing := strings.Contains(command, "diff") // which prints nothing if nothing differs
				if output := l.shell(command); !comparing && !strings.Contains(output, l.Name("outpost")) {
					t.Errorf("%s: %s: %s", path, command, output)
				}
			default:
				for line := range strings.Lines(command) {
					line = strings.TrimSpace(line)
					if _, ok := notRun[line]; ok {
						delete(unused, line)
						continue
					}
					if target, ok := strings.CutPrefix(line, "make "); !ok || !strings.Contains(string(makefile), "\n"+target+":") {
						t.Errorf("%s: nothing runs %q", path, line)
					}
				}
			}
		}
	}
	for line := range unused {
		t.Errorf("no document has %q", line)
	}
}

// Each access level, started as documented, has the rights that the document names.
func TestAccessLevels(t *testing.T) {
	l := newLab(t)
	const listen80 = "listen:tcp4:0.0.0.0:80"
	l.run("scratch", "-p", l.port(1)+":80", bare, "/peer", listen80)
	l.peer("paused", []string{"-p", l.port(2) + ":80"}, listen80)
	l.docker("pause", l.Name("paused"))
	t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "unpause", l.Name("paused")) })
	l.peer("well", []string{"-p", l.port(3) + ":80"}, listen80)
	l.peer("root", []string{"--network", "host"}, "listen:tcp4:0.0.0.0:"+l.port(5))
	l.peer("user", []string{"--network", "host", "-u", "1000"}, "listen:tcp4:0.0.0.0:"+l.port(4))

	levels := slices.DeleteFunc(blocks(t, "internal/deploy/README.md"), func(command string) bool { return !isDockerRun(command) })
	if len(levels) != 4 {
		t.Fatalf("%d levels", len(levels))
	}
	for i, level := range levels {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			l := &testLab{l.Lab, t, l.firstPort}
			l.shell(level)
			t.Cleanup(func() { _, _ = l.Docker(context.WithoutCancel(t.Context()), "rm", "-f", l.Name("outpost")) })
			o := l.answering("outpost", l.firstPort)
			a := o.connections()
			for _, part := range []string{"scratch", "paused"} {
				if a.incomplete(l.Name(part)) != (i == 0) {
					t.Errorf("%s incomplete: %v", part, a.incomplete(l.Name(part)))
				}
			}
			if a.incomplete(l.Name("well")) {
				t.Errorf("Outpost-Incomplete: %s", a.header.Get("Outpost-Incomplete"))
			}
			method := []string{"exec", "procfs", "procfs", "sockdiag"}[i]
			s := o.snapshot()
			if c := s.container(t, l.Name("well")); c.Method != method {
				t.Errorf("read by %s, want %s; unused %v", c.Method, method, c.Unused)
			}
			l.examined(i)
			if i == 0 {
				if len(l.execs()) == 0 {
					t.Error("no command was run, or none is seen")
				}
				return
			}
			if len(s.Host.Addresses) == 0 || a.containers["/"+l.Name("well")].Listening[0].Address == "0.0.0.0" {
				t.Errorf("addresses %v, listening %v", s.Host.Addresses, a.containers["/"+l.Name("well")].Listening)
			}
			// On cgroup v1 the owners in the host's network are told by descriptors: with the capabilities those of root.
			if root := s.container(t, l.Name("root")); (root.Status == "ok") != (i == 3) {
				t.Errorf("%s: %s", root.Status, root.Reason)
			}
			if user := s.container(t, l.Name("user")); !strings.Contains(user.Reason, "CAP_DAC_READ_SEARCH") {
				t.Errorf("%s: %s", user.Status, user.Reason)
			}
			since := time.Now()
			for range 100 {
				o.connections()
			}
			for _, line := range l.execs() {
				if at, err := strconv.ParseInt(strings.Fields(line)[0], 10, 64); err != nil || at > since.UnixNano() {
					t.Errorf("a poll ran a command: %s", line)
				}
			}
		})
	}
}

// examined holds what the doctor says in one of the four ways against what is missing there.
func (l *testLab) examined(way int) {
	l.t.Helper()
	// The owners of user's sockets cannot be told in any way.
	output, err := exec.CommandContext(l.t.Context(), "docker", "exec", l.Name("outpost"), "/outpost", "doctor").CombinedOutput()
	if failed, ok := errors.AsType[*exec.ExitError](err); !ok || failed.ExitCode() != 1 {
		l.t.Errorf("the doctor finds nothing: %v", err)
	}
	said := string(output)
	for part, ways := range map[string][]int{
		"engine ": {0, 1, 2, 3}, "API 1.": {0, 1, 2, 3}, "containers that run: 6": {0, 1, 2, 3}, "set OUTPOST_TOKEN_FILE or OUTPOST_WEB_CONFIG": {0, 1, 2, 3},
		"-v /proc:/host/proc:ro or --pid host": {0}, "the image has no cat": {0}, "the container is paused": {0},
		"procfs      works": {1, 2, 3}, "exec        not needed": {1, 2, 3},
		"it would add netlink for every container": {0, 1, 2}, "--cap-add SYS_PTRACE --cap-add SYS_ADMIN": {0, 1, 2}, "SYS_ADMIN are missing": {1, 2},
		"sockdiag    works\n": {3}, "CAP_DAC_READ_SEARCH": {1, 2, 3},
	} {
		if strings.Contains(said, part) != slices.Contains(ways, way) {
			l.t.Errorf("way %d: %q is to be said in %v alone:\n%s", way+1, part, ways, said)
		}
	}
}

// execs returns which commands were run in the lab's containers but Outpost's own, in which the engine checks the
// health.
func (l *testLab) execs() []string {
	l.t.Helper()
	now := time.Now()
	until := fmt.Sprintf("%d.%09d", now.Unix(), now.Nanosecond()) // a duration would count in whole seconds
	events := l.docker("events", "--since", "1h", "--until", until, "--filter", "event=exec_create", "--format", "{{.TimeNano}} {{.Actor.Attributes.name}} {{.Action}}")
	var execs []string
	for line := range strings.Lines(events) {
		if name := strings.Fields(line)[1]; strings.HasPrefix(name, l.Name("")) && name != l.Name("outpost") {
			execs = append(execs, strings.TrimSpace(line))
		}
	}
	return execs
}

// The section "Full disclosure" of internal/collect/README.md names exactly the commands that the code has.
func TestFullDisclosure(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root, "internal/collect/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(document), "\n## Full disclosure\n")
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
