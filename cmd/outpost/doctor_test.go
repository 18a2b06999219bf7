package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/PabloL007/outpost/internal/engine/enginetest"
)

// doctorOf runs the doctor with commands alone, because the containers of a fake engine have no processes.
func doctorOf(t *testing.T) (status int, report string) {
	t.Helper()
	t.Setenv("OUTPOST_COLLECTOR", "exec")
	status, report, stderr := runWith(t, "doctor")
	if stderr != "" {
		t.Errorf("stderr: %s", stderr)
	}
	return status, report
}

// Commands read 80 of 83 containers. The three that a probe tries have no cat.
func TestDoctorCountsContainersReadByCommands(t *testing.T) {
	const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	var containers []*enginetest.Container
	for i := range 83 {
		exec := enginetest.Exec{Stdout: table + strings.ReplaceAll(table, "rem_address", "remote_address")}
		if i < 3 {
			exec = enginetest.Exec{Stdout: `exec: "cat": executable file not found in $PATH`, Code: 127}
		}
		containers = append(containers, &enginetest.Container{
			Name: fmt.Sprintf("c%02d", i), Exec: func([]string) enginetest.Exec { return exec },
		})
	}
	enginetest.New(t, containers...)
	status, report := doctorOf(t)
	if status != 1 || !strings.Contains(report, "works for 80 of 83 containers; the image has no cat: 3\n") || !strings.Contains(report, "80 of 83 are read completely") {
		t.Errorf("status %d\n%s", status, report)
	}
}

// Without a view of the host's /proc the doctor names why translations are inferred.
func TestDoctorNamesWhyTranslationsAreInferred(t *testing.T) {
	enginetest.New(t)
	_, report := doctorOf(t)
	if !strings.Contains(report, "are inferred from addresses and ports: the tracked connections are read through the host's /proc") {
		t.Error(report)
	}
	if flags := strings.Join(flagsForTranslations(false), " "); !strings.HasPrefix(flags, "-v /proc:/host/proc:ro") {
		t.Error(flags)
	}
	if flags := flagsForTranslations(true); flags != nil {
		t.Error(flags)
	}
}

// An engine that remaps users starts containers in another user namespace, unless they have --userns host.
func TestDoctorAdvisesTheHostsUserNamespace(t *testing.T) {
	forbidden := func([]string) enginetest.Exec {
		return enginetest.Exec{CreateStatus: http.StatusForbidden, Message: "no"}
	}
	const advice = "start it with --userns host"
	for name, test := range map[string]struct {
		option string
		remaps bool // of the doctor's own process
		want   bool
	}{
		"remapped":        {"name=userns", true, true},
		"--userns host":   {"name=userns", false, false},
		"another sandbox": {"name=seccomp,profile=default", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			fake := enginetest.New(t, &enginetest.Container{Name: "it", Exec: forbidden})
			fake.SetHost("host", test.option)
			doctor := command(t.Context(), []string{"OUTPOST_COLLECTOR=exec", "DOCKER_HOST=" + os.Getenv("DOCKER_HOST")}, "doctor")
			if test.remaps {
				doctor.SysProcAttr = &syscall.SysProcAttr{
					Cloneflags:  syscall.CLONE_NEWUSER,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
				}
			}
			report, err := doctor.Output()
			if errors.Is(err, syscall.EPERM) {
				t.Skip("this machine permits no user namespace")
			}
			if !strings.Contains(string(report), "0 of 1 are read completely") || strings.Contains(string(report), advice) != test.want {
				t.Errorf("%v, want the advice: %v\n%s", err, test.want, report)
			}
		})
	}
}

// The doctor names the cause if the engine gives no answer, and advises only what helps against it.
func TestDoctorNamesWhyTheEngineGivesNoAnswer(t *testing.T) {
	rejecting := func(status int, message string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/_ping" {
				w.Header().Set("Api-Version", "1.41")
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"message":%q}`, message)
		}))
		t.Cleanup(server.Close)
		return "tcp://" + server.Listener.Addr().String()
	}
	directory := t.TempDir()
	file := filepath.Join(directory, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const tooOld = "client version 1.41 is too old. Minimum supported API version is 1.99, please upgrade your client to a newer version"
	for name, test := range map[string]struct {
		host, version string
		want          []string
		not           string
	}{
		"directory":   {host: "unix://" + directory, want: []string{directory + " is a directory"}, not: "mount its socket"},
		"file":        {host: "unix://" + file, want: []string{file + " is not a socket"}, not: "mount its socket"},
		"missing":     {host: "unix:///nonexistent", want: []string{"/nonexistent does not exist", "mount its socket with -v /nonexistent:/nonexistent"}, not: "/var/run/docker.sock"},
		"version":     {host: rejecting(400, tooOld), want: []string{"rejects the API version", "Outpost speaks 1.25 to 1.56", "1.99"}, not: "DOCKER_API_VERSION"},
		"set version": {host: rejecting(400, tooOld), version: "1.41", want: []string{"rejects the API version", "unset DOCKER_API_VERSION"}, not: "does not answer"},
		"forbidden":   {host: rejecting(403, "no"), want: []string{"refuses to list containers", "let the proxy permit GET"}, not: "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", test.host)
			t.Setenv("DOCKER_API_VERSION", test.version)
			status, report := doctorOf(t)
			if status != 1 || strings.Contains(report, test.not) {
				t.Errorf("status %d, want no %q:\n%s", status, test.not, report)
			}
			for _, part := range test.want {
				if !strings.Contains(report, part) {
					t.Errorf("no %q in\n%s", part, report)
				}
			}
		})
	}
}
