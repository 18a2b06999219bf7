package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Engine is a Docker engine that stands for another host. It has its own network and mount namespaces, and an address on a
// bridge that all such engines share with the machine. Its /run is its own too: a process in its namespaces finds this engine,
// not the machine's, at /var/run/docker.sock.
//
// It requires Linux, root, and the commands dockerd or podman, ip, iptables, nsenter and unshare.
type Engine struct {
	id        string   // names its directory, its interface on the bridge and its /run; at most 15 characters (IFNAMSIZ)
	directory string   // of its files
	lock      *os.File // of the directory, held until Close
	daemon    *exec.Cmd
	ended     chan struct{} // closed when the daemon has ended
}

// EngineOptions are differences between an engine and the machine.
type EngineOptions struct {
	CgroupV2 bool // cgroup v2 only, even where the machine has v1
	NoRules  bool // no iptables rules: docker-proxy serves all clients of published ports
	Podman   bool // Podman's API service in place of dockerd, on cgroup v2
}

// hostInside is the address of an engine in its own namespaces.
const hostInside = "unix:///var/run/docker.sock"

// setupScript runs in the new namespaces of an engine. It waits for a line, sent when the network exists, and then executes
// the daemon.
const setupScript = `set -e
mount -t tmpfs -o mode=755 "$1" /run
if [ "$2" = true ]; then
	umount -R /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
echo
read -r _
exec dockerd --config-file "$3" </dev/null >&2`

// StartEngine starts an engine with an IPv4 address such as "10.77.0.11/24". The machine has the first address of that
// network. Engines with different addresses reach each other. StartEngine first removes what is left of engines that nobody
// closed before their process ended.
func StartEngine(ctx context.Context, address string, options EngineOptions) (*Engine, error) {
	prefix, err := netip.ParsePrefix(address)
	if err != nil || !prefix.Addr().Is4() {
		return nil, fmt.Errorf("engine: %q is not an IPv4 address with a prefix length", address)
	}
	id := fmt.Sprintf("lab-%x", prefix.Addr().As4())
	e := &Engine{id: id, directory: filepath.Join(sharedDirectory(), id)}
	err = withLock(ctx, func() error {
		return errors.Join(removeAbandoned(ctx), e.start(ctx, prefix, options))
	})
	if err = e.ready(ctx, err); err != nil {
		return nil, fmt.Errorf("engine at %s: %w", address, err)
	}
	return e, nil
}

// StartPodman starts Podman's API service on the host that an engine stands for. It shares the engine's network namespace. It is
// closed before that engine.
func (e *Engine) StartPodman(ctx context.Context) (*Engine, error) {
	id := e.id + "-p"
	p := &Engine{id: id, directory: filepath.Join(sharedDirectory(), id)}
	err := withLock(ctx, func() error { return p.startBeside(ctx, e) })
	if err = p.ready(ctx, err); err != nil {
		return nil, fmt.Errorf("podman beside %s: %w", e.id, err)
	}
	return p, nil
}

// ready waits until the engine answers, unless it did not start: err is why. It closes an engine that fails.
func (e *Engine) ready(ctx context.Context, err error) error {
	if err == nil {
		err = e.awaitReady(ctx)
	}
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%w%s", err, e.logTail()), e.Close(context.WithoutCancel(ctx)))
}

// Socket returns the path of the engine's socket on the machine.
func (e *Engine) Socket() string { return filepath.Join(e.directory, "docker.sock") }

// Host returns the socket in the form of DOCKER_HOST; see OnHost.
func (e *Engine) Host() string { return "unix://" + e.Socket() }

// Command returns a command that runs in the engine's network and mount namespaces, with DOCKER_HOST set to the engine. The
// working directory is the root. nsenter executes the command in its own process. Close kills it if it still runs.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(e.daemon.Process.Pid), "--net", "--mount", "--"}
	command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	command.Env = append(os.Environ(), "DOCKER_HOST="+hostInside)
	return command
}

// Load copies images from the engine that the environment names.
func (e *Engine) Load(ctx context.Context, images ...string) error {
	save := exec.CommandContext(ctx, "docker", append([]string{"save"}, images...)...)
	var stderr bytes.Buffer
	save.Stderr = &stderr
	archive, err := save.StdoutPipe()
	if err != nil {
		return fmt.Errorf("docker save: %w", err)
	}
	if err := save.Start(); err != nil {
		return fmt.Errorf("docker save: %w", err)
	}
	_, err = OnHost(e.Host(), "", nil).docker(ctx, archive, "load")
	_ = archive.Close() // after a failed load, save would wait for a reader
	if saved := save.Wait(); saved != nil {
		err = errors.Join(fmt.Errorf("docker save: %w: %s", saved, stderr.String()), err)
	}
	return err
}

// Close ends the engine and its containers, and removes everything that it made. A second call does nothing.
func (e *Engine) Close(ctx context.Context) error {
	if e.lock == nil {
		return nil
	}
	return errors.Join(e.stop(ctx), withLock(ctx, func() error { return e.remove(ctx) }))
}

// start makes the engine's namespaces and its network, and starts its daemon.
func (e *Engine) start(ctx context.Context, address netip.Prefix, options EngineOptions) error {
	if err := e.makeDirectory(); err != nil {
		return err
	}
	if err := createShared(ctx, address); err != nil {
		return err
	}
	command := e.dockerd
	if options.Podman {
		command = e.podman
	}
	script, err := command(options)
	if err != nil {
		return err
	}
	return e.launch(ctx, script, []string{"unshare", "--net"}, func() error { return e.connect(ctx, address) })
}

// startBeside starts Podman in the network namespace of another engine.
func (e *Engine) startBeside(ctx context.Context, host *Engine) error {
	if err := e.makeDirectory(); err != nil {
		return err
	}
	script, err := e.podman(EngineOptions{})
	if err != nil {
		return err
	}
	enter := []string{"nsenter", "--target", strconv.Itoa(host.daemon.Process.Pid), "--net", "unshare"}
	return e.launch(ctx, script, enter, func() error { return nil })
}

// makeDirectory makes and locks the directory of the engine's files.
func (e *Engine) makeDirectory() error {
	if err := os.MkdirAll(e.directory, 0o755); err != nil {
		return err
	}
	var err error
	if e.lock, err = lock(e.directory); err != nil {
		return fmt.Errorf("address in use by another engine: %w", err)
	}
	return nil
}

// dockerd writes the configuration of Docker's daemon, and returns the script that executes it, with its arguments.
func (e *Engine) dockerd(options EngineOptions) ([]string, error) {
	config := filepath.Join(e.directory, "daemon.json")
	content, err := json.Marshal(map[string]any{
		"hosts":     []string{hostInside, e.Host()},
		"data-root": filepath.Join(e.directory, "data"),
		"exec-opts": []string{"native.cgroupdriver=cgroupfs"}, // cgroups of systemd are shared with other services
		"iptables":  !options.NoRules,
	})
	if err != nil {
		return nil, err
	}
	return []string{setupScript, "sh", e.id, strconv.FormatBool(options.CgroupV2), config}, os.WriteFile(config, content, 0o600)
}

// launch runs a script in new namespaces. It calls connect between the script's first line of output and its first line of input.
func (e *Engine) launch(ctx context.Context, script, namespaces []string, connect func() error) error {
	log, err := os.Create(filepath.Join(e.directory, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the daemon has its own descriptor
	// The script executes the daemon without a fork. Close ends it, not the context.
	words := slices.Concat(namespaces, []string{"--mount", "--propagation", "private", "sh", "-c"}, script)
	e.daemon = exec.CommandContext(context.WithoutCancel(ctx), words[0], words[1:]...)
	e.daemon.Stderr = log
	stdin, err := e.daemon.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := e.daemon.StdoutPipe()
	if err != nil {
		return err
	}
	if err := e.daemon.Start(); err != nil {
		return err
	}
	_, err = bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		err = connect()
	}
	if err == nil {
		_, err = stdin.Write([]byte("\n"))
	}
	_ = stdin.Close() // ends the script if it got no line
	e.watch()
	if err != nil {
		<-e.ended
	}
	return err
}

// watch closes e.ended when the daemon has ended.
func (e *Engine) watch() {
	daemon, ended := e.daemon, make(chan struct{})
	e.ended = ended
	go func() {
		_ = daemon.Wait() // its log says how it ended
		close(ended)
	}()
}

// awaitReady waits until the engine answers.
func (e *Engine) awaitReady(ctx context.Context) error {
	var ended bool
	err := retry(ctx, func() error {
		select {
		case <-e.ended:
			ended = true
			return nil
		default:
			_, err := OnHost(e.Host(), "", nil).docker(ctx, nil, "ps")
			return err
		}
	})
	if ended {
		return errors.New("daemon ended")
	}
	return err
}

// logTail returns the end of the log of the script and the daemon.
func (e *Engine) logTail() string {
	if e.daemon == nil {
		return ""
	}
	const end = 2000
	log, err := os.ReadFile(filepath.Join(e.directory, "log"))
	if err != nil {
		return "; " + err.Error()
	}
	return "; its log ends with:\n" + string(log[max(0, len(log)-end):])
}

// stop removes the containers and ends the daemon. A daemon that stops its containers itself gives each of them 10 s.
func (e *Engine) stop(ctx context.Context) error {
	if e.ended == nil {
		return nil
	}
	const timeout = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-e.ended:
		return nil
	default:
	}
	err := OnHost(e.Host(), "", nil).removeAll(ctx, []string{"ps", "-aq"}, "rm", "-f", "-v")
	_ = e.daemon.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-e.ended:
		return err
	case <-ctx.Done():
		_ = e.daemon.Process.Kill()
		<-e.ended
		return errors.Join(err, errors.New("daemon ignored SIGTERM: killed it"))
	}
}
