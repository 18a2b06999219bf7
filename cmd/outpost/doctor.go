package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// errUnwell is the doctor's finding that not all can be seen, of which all is said.
var errUnwell = errors.New("not all can be seen")

// added is what a way to read adds to those below it, and what it takes.
var added = map[collect.Method]string{
	collect.Sockdiag: "netlink for every container, round-trip times and bytes: --cap-add SYS_PTRACE --cap-add SYS_ADMIN, as root, and the host's /proc",
	collect.Procfs:   "every container, without a command in it: -v /proc:/host/proc:ro",
	collect.Exec:     "containers whose image has cat, by a command in each: exec, on the engine's socket",
}

// doctor says in plain words what can be seen here, and what is missing.
func doctor(ctx context.Context, c config.Config, stdout io.Writer) error {
	here, err := assemble(ctx, c, zerolog.Nop()) // what is wrong is in the findings
	if err != nil {
		return err
	}
	defer func() { _ = here.close(context.WithoutCancel(ctx)) }()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	err = examine(ctx, here, c, w)
	_ = w.Flush() // into memory
	if _, failed := io.WriteString(stdout, text.String()); failed != nil {
		return failed
	}
	return err
}

func examine(ctx context.Context, here *outpost, c config.Config, w io.Writer) error {
	say := func(subject, format string, values ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", subject, visible(fmt.Sprintf(format, values...)))
	}
	taken, err := here.Snapshot(ctx, false)
	if err != nil {
		say("engine", "does not answer at %s: %v", here.engine.Address(), err)
		say("", "mount its socket, -v /var/run/docker.sock:/var/run/docker.sock, with its group, --user 65534:$(stat -c %%g /var/run/docker.sock), or set DOCKER_HOST")
		return errUnwell
	}
	document := snapshot.DocumentOf(taken)
	say("engine", "%s, API %s, answers at %s; containers that run: %d", document.Host.EngineVersion, document.Host.APIVersion, here.engine.Address(), len(document.Containers))
	findings, err := here.collector.Probe(ctx)
	if err != nil {
		say("ways to read", "cannot be tried: %v", err)
		return errUnwell
	}
	for _, report := range findings.Methods {
		say(string(report.Method), "%s", report)
		if report.Works < report.Tried || report.Tried == 0 && report.Problem != (collect.Problem{}) {
			say("", "it would add %s", added[report.Method])
		}
	}
	if findings.CgroupProblem == "" {
		say("owners", "whose socket is whose on a shared network is told by cgroup")
	} else {
		say("owners", "whose socket is whose on a shared network is not told by cgroup: %s", findings.CgroupProblem)
	}
	say("addresses", "%s", addressesIn(document.Host))
	say("access", "%s", accessIn(c))
	return examineContainers(document, say)
}

func addressesIn(host snapshot.HostDocument) string {
	if len(host.Addresses) == 0 {
		return "the host's are not seen: set OUTPOST_INTERFACES, or mount the host's /proc, -v /proc:/host/proc:ro"
	}
	texts := make([]string, len(host.Addresses))
	for i, addr := range host.Addresses {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

func accessIn(c config.Config) string {
	guard, err := newGuard(c, zerolog.Nop())
	scheme, schemeErr := access.Scheme(c.WebConfig)
	switch {
	case err != nil || schemeErr != nil:
		return fmt.Sprintf("nobody: %v", errors.Join(err, schemeErr))
	case guard.IsProtected():
		return "those who prove who they are, by " + scheme
	}
	return "everybody who reaches " + c.Listen + ", by " + scheme + ": set OUTPOST_TOKEN_FILE or OUTPOST_WEB_CONFIG"
}

// examineContainers says of which containers something is missing, and why.
func examineContainers(document snapshot.Document, say func(subject, format string, values ...any)) error {
	whole := 0
	for _, c := range document.Containers {
		if c.Status == snapshot.StatusOK {
			whole++
		}
	}
	say("containers", "%d of %d are read completely", whole, len(document.Containers))
	for _, c := range document.Containers {
		if c.Status != snapshot.StatusOK {
			say("", "%s is %s: %s", strings.TrimPrefix(c.Name, "/"), c.Status, c.Reason)
		}
	}
	if whole < len(document.Containers) {
		return errUnwell
	}
	return nil
}
