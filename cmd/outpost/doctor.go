package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// errIncomplete means that doctor has printed what Outpost cannot read.
var errIncomplete = errors.New("something cannot be read")

// methodBenefits are what each method adds to the ones below it, and what it needs.
var methodBenefits = map[collect.Method]string{
	collect.Sockdiag: "netlink for every container, round-trip times and bytes: --cap-add SYS_PTRACE --cap-add SYS_ADMIN, as root, and the host's /proc",
	collect.Procfs:   "every container, without a command in it: -v /proc:/host/proc:ro",
	collect.Exec:     "containers with cat in their image, by a command in each: exec, on the engine's socket",
}

func newDoctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Print what Outpost can read on this host, method by method, and what is missing",
		Long: `Print what Outpost can read on this host, method by method, and what is missing.
The exit status is 1 if the engine does not answer, or if something of a container cannot be read.`,
		Args:              rejectArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			return doctor(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
}

// doctor prints a table of what Outpost can read here, and what is missing.
func doctor(ctx context.Context, c config.Config, stdout io.Writer) error {
	here, err := assemble(ctx, c, zerolog.Nop()) // the table has everything that would be logged
	if err != nil {
		return err
	}
	defer func() { _ = here.close(context.WithoutCancel(ctx)) }()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	err = examine(ctx, here, c, func(subject, format string, values ...any) {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", subject, printable(fmt.Sprintf(format, values...)))
	})
	_ = w.Flush() // a strings.Builder cannot fail
	if _, failed := io.WriteString(stdout, text.String()); failed != nil {
		return failed
	}
	return err
}

// printRow prints a row of the doctor's table.
type printRow func(subject, format string, values ...any)

func examine(ctx context.Context, here *outpost, c config.Config, row printRow) error {
	taken, err := here.Snapshot(ctx, false)
	if err != nil {
		row("engine", "does not answer at %s: %v", here.engine.Address(), err)
		row("", "mount its socket, -v /var/run/docker.sock:/var/run/docker.sock, with its group, --user 65534:$(stat -c %%g /var/run/docker.sock), or set DOCKER_HOST")
		return errIncomplete
	}
	document := taken.ToV1()
	row("engine", "%s, API %s, answers at %s; running containers: %d", document.Host.EngineVersion, document.Host.APIVersion, here.engine.Address(), len(document.Containers))
	result, err := here.collector.Probe(ctx)
	if err != nil {
		row("methods", "cannot be tried: %v", err)
		return errIncomplete
	}
	examineMethods(result, row)
	row("addresses", "%s", describeAddresses(document.Host))
	row("access", "%s", describeAccess(c))
	return examineContainers(document, row)
}

func examineMethods(result collect.ProbeResult, row printRow) {
	for _, method := range result.Methods {
		row(string(method.Method), "%s", method)
		if method.Works < method.Tried || method.Tried == 0 && method.Problem != (collect.Problem{}) {
			row("", "it would add %s", methodBenefits[method.Method])
		}
	}
	if result.CgroupProblem == "" {
		row("owners", "cgroups show which container on a shared network owns a socket")
	} else {
		row("owners", "cgroups do not show which container on a shared network owns a socket: %s", result.CgroupProblem)
	}
}

func describeAddresses(host snapshotv1.Host) string {
	if len(host.Addresses) == 0 {
		return "the host's addresses are unknown: set OUTPOST_INTERFACES, or mount the host's /proc, -v /proc:/host/proc:ro"
	}
	texts := make([]string, len(host.Addresses))
	for i, addr := range host.Addresses {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

func describeAccess(c config.Config) string {
	guard, err := newGuard(c, zerolog.Nop())
	scheme, schemeErr := access.Scheme(c.WebConfig)
	switch {
	case err != nil || schemeErr != nil:
		return fmt.Sprintf("nobody, until this is repaired: %v", cmp.Or(err, schemeErr))
	case guard.IsProtected():
		return "clients with credentials, over " + scheme
	}
	return "everybody who reaches " + c.Listen + ", over " + scheme + ": set OUTPOST_TOKEN_FILE or OUTPOST_WEB_CONFIG"
}

// examineContainers prints which containers are incomplete, and why.
func examineContainers(document snapshotv1.Snapshot, row printRow) error {
	complete := 0
	for _, c := range document.Containers {
		if c.Status == snapshotv1.StatusOK {
			complete++
		}
	}
	row("containers", "%d of %d are read completely", complete, len(document.Containers))
	for _, c := range document.Containers {
		if c.Status != snapshotv1.StatusOK {
			row("", "%s (%s): %s", strings.TrimPrefix(c.Name, "/"), c.Status, c.Reason)
		}
	}
	if complete < len(document.Containers) {
		return errIncomplete
	}
	return nil
}
