package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// podmanScript is setupScript for Podman. Its service and containers are in a cgroup of the engine, which is the root of a cgroup
// namespace: Podman moves all processes of the root into another cgroup.
const podmanScript = `set -e
mount -t tmpfs -o mode=755 "$1" /run
mount -t tmpfs -o mode=1777 "$1" /dev/shm
mkdir -p /var/lib/cni
mount -t tmpfs "$1" /var/lib/cni
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1"
echo $$ >"/sys/fs/cgroup/$1/cgroup.procs"
ln -s "$2/docker.sock" /run/docker.sock
echo
read -r _
export CONTAINERS_CONF="$2/containers.conf" CONTAINERS_STORAGE_CONF="$2/storage.conf"
exec unshare --cgroup sh -ec '
umount /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec podman system service --time=0 "$0"' "unix://$2/docker.sock" </dev/null >&2`

// podman writes the configuration of Podman, and returns the script that executes its service, with its arguments.
func (e *Engine) podman(EngineOptions) ([]string, error) {
	// Without CAP_SYS_RESOURCE on a machine, Podman cannot set its default limits. Controllers of cgroup v1 limit nothing on v2.
	// Where systemd runs, Podman logs to the journal by default, but its socket is not in the engine's /run.
	config := `[containers]
pids_limit = 0
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`
	if _, err := exec.LookPath("runc"); err == nil {
		config += "runtime = \"runc\"\n" // crun needs CAP_SYS_RESOURCE
	}
	config += fmt.Sprintf("[network]\nnetwork_config_dir = %q\n", filepath.Join(e.directory, "networks"))
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = \"/run/containers/storage\"\n", filepath.Join(e.directory, "data"))
	return []string{podmanScript, "sh", e.id, e.directory}, errors.Join(
		os.WriteFile(filepath.Join(e.directory, "containers.conf"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(e.directory, "storage.conf"), []byte(storage), 0o600))
}

// Podman runs the podman command on the engine and returns its output.
func (e *Engine) Podman(ctx context.Context, args ...string) (string, error) {
	output, err := exec.CommandContext(ctx, "podman", append([]string{"--url", e.Host()}, args...)...).Output()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("podman %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// removeOwnCgroups removes the engine's cgroup, where cgroup v2 is mounted alone or beside v1.
func (e *Engine) removeOwnCgroups() error {
	beside, err := filepath.Glob(filepath.Join("/sys/fs/cgroup", "*", e.id))
	for _, path := range append(beside, filepath.Join("/sys/fs/cgroup", e.id)) {
		err = errors.Join(err, removeCgroup(path))
	}
	return err
}
