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
	"strconv"
	"syscall"
	"time"
)

// Engine is a Docker engine of the lab's own, as on another host: it has its own network and mount namespace, and an
// address at a bridge that all such engines share with the machine. There /run is its own too, so that what runs in
// its namespaces finds it at /var/run/docker.sock and does not find the machine's.
//
// Linux and root are needed, and the commands dockerd, ip, iptables, nsenter and unshare.
type Engine struct {
	id        string   // of at most 15 characters: names its directory, its interface at the bridge and its /run
	directory string   // of its files
	lock      *os.File // of the directory: held as long as the engine is somebody's
	daemon    *exec.Cmd
	ended     chan struct{} // after it the daemon does not run
}

// EngineOptions is what an engine may have other than the machine has it.
type EngineOptions struct {
	CgroupV2 bool // cgroup v2 alone, also where the machine has v1
}

// hostInside is where an engine answers in its own namespaces.
const hostInside = "unix:///var/run/docker.sock"

// setUp runs in an engine's new namespaces, and becomes its daemon when it is told that the network is there.
const setUp = `set -e
mount -t tmpfs -o mode=755 "$1" /run
if [ "$2" = true ]; then
	umount -R /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
echo
read -r _
exec dockerd --config-file "$3" </dev/null >&2`

// StartEngine starts an engine with an IPv4 address such as "10.77.0.11/24"; the machine has the first address of that
// network. Engines of different addresses reach each other. What remained of engines whose process ended without Close
// is removed before.
func StartEngine(ctx context.Context, address string, options EngineOptions) (*Engine, error) {
	prefix, err := netip.ParsePrefix(address)
	if err != nil || !prefix.Addr().Is4() {
		return nil, fmt.Errorf("engine: %q is no IPv4 address with its network's length", address)
	}
	id := fmt.Sprintf("lab-%x", prefix.Addr().As4())
	e := &Engine{id: id, directory: filepath.Join(shared(), id)}
	err = locked(ctx, func() error {
		return errors.Join(sweep(ctx), e.start(ctx, prefix, options))
	})
	if err == nil {
		err = e.answers(ctx)
	}
	if err != nil {
		return nil, errors.Join(
			fmt.Errorf("engine at %s: %w%s", address, err, e.logged()),
			e.Close(context.WithoutCancel(ctx)))
	}
	return e, nil
}

// Socket returns the path, on the machine, of the socket at which the engine answers.
func (e *Engine) Socket() string { return filepath.Join(e.directory, "docker.sock") }

// Host returns the socket as the docker command and DOCKER_HOST take it; see On.
func (e *Engine) Host() string { return "unix://" + e.Socket() }

// Command returns a command that runs in the engine's network and mount namespace, with it as the environment's engine.
// Its working directory is the root, and its process the command's own. Close kills it if it still runs.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(e.daemon.Process.Pid), "--net", "--mount", "--"}
	command := exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
	command.Env = append(os.Environ(), "DOCKER_HOST="+hostInside)
	return command
}

// Load copies images from the environment's engine.
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
	_, err = On(e.Host(), "", nil).docker(ctx, archive, "load")
	_ = archive.Close() // else save waits for a reader where load failed
	if saved := save.Wait(); saved != nil {
		err = errors.Join(fmt.Errorf("docker save: %w: %s", saved, stderr.String()), err)
	}
	return err
}

// Close ends the engine and its containers, and removes all that it made. After it Close does nothing.
func (e *Engine) Close(ctx context.Context) error {
	if e.lock == nil {
		return nil
	}
	return errors.Join(e.stop(ctx), locked(ctx, func() error { return e.remove(ctx) }))
}

// start makes the engine's namespaces and its network, and starts its daemon.
func (e *Engine) start(ctx context.Context, address netip.Prefix, options EngineOptions) error {
	if err := os.MkdirAll(e.directory, 0o755); err != nil {
		return err
	}
	var err error
	if e.lock, err = lock(e.directory); err != nil {
		return fmt.Errorf("another engine has the address: %w", err)
	}
	if err := makeShared(ctx, address); err != nil {
		return err
	}
	config := filepath.Join(e.directory, "daemon.json")
	content, err := json.Marshal(map[string]any{
		"hosts":     []string{hostInside, e.Host()},
		"data-root": filepath.Join(e.directory, "data"),
		"exec-opts": []string{"native.cgroupdriver=cgroupfs"}, // systemd's cgroups are not the engine's alone
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, content, 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(e.directory, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the daemon has its own descriptor
	// It becomes the daemon without a fork. Its life is Close's matter, not the context's.
	e.daemon = exec.CommandContext(context.WithoutCancel(ctx), "unshare", "--net", "--mount", "--propagation", "private",
		"sh", "-c", setUp, "sh", e.id, strconv.FormatBool(options.CgroupV2), config)
	e.daemon.Stderr = log
	return e.launch(ctx, address)
}

func (e *Engine) launch(ctx context.Context, address netip.Prefix) error {
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
		err = e.connect(ctx, address)
	}
	if err == nil {
		_, err = stdin.Write([]byte("\n"))
	}
	_ = stdin.Close() // which ends the script if it was not told to go on
	e.wait()
	if err != nil {
		<-e.ended
	}
	return err
}

// wait has ended tell when the daemon has ended.
func (e *Engine) wait() {
	daemon, ended := e.daemon, make(chan struct{})
	e.ended = ended
	go func() {
		_ = daemon.Wait() // how it ended is in its log
		close(ended)
	}()
}

// answers waits until the engine does.
func (e *Engine) answers(ctx context.Context) error {
	var ended bool
	err := retry(ctx, func() error {
		select {
		case <-e.ended:
			ended = true
			return nil
		default:
			_, err := On(e.Host(), "", nil).docker(ctx, nil, "version")
			return err
		}
	})
	if ended {
		return errors.New("the daemon ended")
	}
	return err
}

// logged returns the end of what the daemon and the script before it said.
func (e *Engine) logged() string {
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

// stop removes the containers, because the daemon would give each the time to end by itself, and ends the daemon.
func (e *Engine) stop(ctx context.Context) error {
	if e.ended == nil {
		return nil
	}
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-e.ended:
		return nil
	default:
	}
	err := On(e.Host(), "", nil).removeAll(ctx, []string{"ps", "-aq"}, "rm", "-f", "-v")
	_ = e.daemon.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-e.ended:
		return err
	case <-ctx.Done():
		_ = e.daemon.Process.Kill()
		<-e.ended
		return errors.Join(err, errors.New("the daemon had to be killed"))
	}
}
