package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/access"
	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/hostproc"
	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// errIncomplete means that doctor has printed what Outpost cannot read.
var errIncomplete = errors.New("something cannot be read")

// methodBenefits are what each method adds to the ones below it.
var methodBenefits = map[collect.Method]string{
	collect.Sockdiag: "netlink for every container, round-trip times, bytes and idle times",
	collect.Procfs:   "every container, without a command in it",
	collect.Exec:     "containers with cat in their image, by a command in each",
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
		explainEngine(err, here.engine.Address(), c, row)
		return errIncomplete
	}
	document := taken.ToV1()
	row("engine", "%s, API %s, answers at %s; running containers: %d", document.Host.EngineVersion, document.Host.APIVersion, here.engine.Address(), len(document.Containers))
	result, err := here.collector.Probe(ctx)
	if err != nil {
		row("methods", "cannot be tried: %v", err)
		return errIncomplete
	}
	examineMethods(here.collector, result, document, row)
	examineEvents(here, c, row)
	examineTranslations(ctx, here, row)
	row("addresses", "%s", describeAddresses(here.collector, document))
	row("access", "%s", describeAccess(c))
	err = examineContainers(document, row)
	if host, hostErr := here.inventory.Host(ctx); err != nil && hostErr == nil && host.RemapsUsers && hostproc.InUserNamespace("/proc") {
		row("users", "the engine remaps users (userns-remap), so Outpost lacks rights on the host: start it with --userns host")
	}
	return err
}

// explainEngine prints why the engine does not list its containers. An error of the connection names what helps itself.
func explainEngine(err error, address string, c config.Config, row printRow) {
	switch {
	case errors.Is(err, container.ErrAPIVersion) && c.DockerAPIVersion != "":
		row("engine", "rejects the API version at %s: %v", address, err)
		row("", "unset DOCKER_API_VERSION: Outpost then finds a version itself")
	case errors.Is(err, container.ErrAPIVersion):
		row("engine", "rejects the API version at %s: %v", address, err)
	case errors.Is(err, container.ErrForbidden):
		row("engine", "refuses to list containers at %s: %v", address, err)
	default:
		row("engine", "does not answer at %s: %v", address, err)
	}
}

func examineMethods(collector *collect.Collector, result collect.ProbeResult, document snapshotv1.Snapshot, row printRow) {
	for _, method := range result.Methods {
		if described := describeCommands(document); method.Method == collect.Exec && described != "" {
			row(string(method.Method), "%s", described)
			continue
		}
		row(string(method.Method), "%s", method)
		if flags := flagsFor(collector, method); len(flags) > 0 {
			row("", "it would add %s: %s", methodBenefits[method.Method], strings.Join(flags, " "))
		}
	}
	if result.CgroupProblem == "" {
		row("owners", "cgroups show which container on a shared network owns a socket")
	} else {
		row("owners", "cgroups do not show which container on a shared network owns a socket: %s", result.CgroupProblem)
	}
}

// flagsFor returns the flags that a method lacks to read all containers.
func flagsFor(collector *collect.Collector, status collect.MethodStatus) (flags []string) {
	if status.Works == status.Tried && status.Problem == (collect.Problem{}) || status.Method == collect.Exec {
		return nil
	}
	if !collector.HasMountedProc() && status.Works == 0 {
		flags = append(flags, "-v /proc:"+hostproc.DefaultMount+":ro")
	}
	if status.Method == collect.Sockdiag {
		flags = append(flags, collector.Proc.SelfCapabilities().FlagsFor(hostproc.SysPtrace, hostproc.SysAdmin)...)
	}
	return flags
}

// describeCommands returns how many containers commands read, and why they do not read others. It is empty if no command ran. A
// probe runs commands in a few containers only, so the document has the true numbers.
func describeCommands(document snapshotv1.Snapshot) string {
	works, tried := 0, 0
	failed := make(map[string]int)
	for _, c := range document.Containers {
		if c.Method == collect.Exec {
			works++
			tried++
			continue
		}
		for _, unused := range c.Unused {
			if unused.Method == collect.Exec {
				tried++
				failed[unused.Reason]++
			}
		}
	}
	text := fmt.Sprintf("works for %d of %d containers", works, tried)
	switch {
	case tried == 0:
		return ""
	case works == 0:
		text = "does not work"
	}
	for _, reason := range slices.Sorted(maps.Keys(failed)) {
		text += fmt.Sprintf("; %s: %d", reason, failed[reason])
	}
	return text
}

func describeAddresses(collector *collect.Collector, document snapshotv1.Snapshot) string {
	addresses := document.Host.Addresses
	switch {
	case len(addresses) > 0:
	case !collector.HasMountedProc():
		return "the host's addresses are unknown: set OUTPOST_INTERFACES, or mount the host's /proc, -v /proc:" + hostproc.DefaultMount + ":ro"
	case len(document.Containers) == 0:
		return "the host's addresses are unknown until a container runs: set OUTPOST_INTERFACES, or start one"
	default:
		return "the host's addresses are unknown, because no process of a container is visible: set OUTPOST_INTERFACES"
	}
	texts := make([]string, len(addresses))
	for i, addr := range addresses {
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
