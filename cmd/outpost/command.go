package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/mapper"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// run executes the command line args until it is done or ctx ends, and returns the exit status. Variables come from the
// process's environment, because the libraries that read them take no other.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(withDoubleDashes(root, args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := checkCommand(root, args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, errMapsDiffer) || errors.Is(err, errIncomplete): // the command has printed the details
		return statusFailed
	}
	_, _ = fmt.Fprintln(stderr, "outpost:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return statusUsage
	}
	return statusFailed
}

// checkCommand returns a usage error if args begin with a word that is not a command. Cobra would show the root's help if
// --help follows such a word.
func checkCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil
	}
	root.InitDefaultHelpCmd()
	if found, _, err := root.Find(args[:1]); err == nil && found != root {
		return nil
	}
	return rejectUnknownCommand(root, args)
}

// withDoubleDashes returns args with -flag as --flag, a form that the standard library's flags accept. The result is not nil,
// because cobra replaces nil by the process's own arguments.
func withDoubleDashes(root *cobra.Command, args []string) []string {
	long := map[string]bool{"-help": true} // cobra adds --help later
	for _, command := range root.Commands() {
		command.Flags().VisitAll(func(flag *pflag.Flag) { long["-"+flag.Name] = true })
	}
	result := make([]string, len(args))
	for i, arg := range args {
		result[i] = arg
		if name, _, _ := strings.Cut(arg, "="); long[name] {
			result[i] = "-" + arg
		}
	}
	return result
}

// newRootCommand returns the command outpost, which serves if no other command is named.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:               "outpost",
		Long:              "Outpost shows which container of a Docker host listens where, and who is connected to whom.\nWithout a command it serves this host.",
		Args:              rejectUnknownCommand,
		RunE:              runServe,
		SilenceErrors:     true, // run prints one line
		SilenceUsage:      true,
		ValidArgsFunction: cobra.NoFileCompletions,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Version:           buildVersion(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "print the version") // cobra's own flag would also be -v
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(
		newServeCommand(), newMapCommand(), newLsCommand(), newLinksCommand(), newDiffCommand(),
		newDoctorCommand(), newHealthcheckCommand(), newVersionCommand(), newCompletionCommand(),
	)
	root.SetHelpCommand(newHelpCommand())
	for _, command := range root.Commands() {
		command.DisableFlagsInUseLine = !command.HasLocalFlags()
	}
	showHelp := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		showHelp(cmd, args)
		if cmd == root {
			showVariables(cmd.OutOrStdout())
		}
	})
	return root
}

// usageError is a mistake in the command line or in the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// readConfig reads the configuration from the environment.
func readConfig() (config.Config, error) {
	c, err := config.FromEnvironment()
	if err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// wrongUse returns err as a usage error that ends with the usage of cmd.
func wrongUse(cmd *cobra.Command, err error) error {
	if !cmd.HasParent() {
		return usageError{fmt.Errorf("%w; see outpost --help", err)}
	}
	return usageError{fmt.Errorf("%s: %w; usage: %s", cmd.Name(), err, usageLine(cmd))}
}

// wrongFlag returns a usage error for what pflag returned. Values stay out of it, because they may be passwords.
func wrongFlag(cmd *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedShortnames()
		}
		err = fmt.Errorf("unknown flag %q", mapper.RedactUserinfo(name))
	} else if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = invalid.Unwrap()
		if name := invalid.GetFlag().Name; !strings.HasPrefix(err.Error(), name+"=") {
			err = fmt.Errorf("--%s: %w", name, err)
		}
	} else if syntax, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		err = fmt.Errorf("bad flag syntax: %q", mapper.RedactUserinfo(syntax.GetSpecifiedFlag()))
	}
	return wrongUse(cmd, err)
}

// usageLine returns the usage of cmd with all its flags in one line.
func usageLine(cmd *cobra.Command) string {
	parts := []string{cmd.CommandPath()}
	cmd.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		if value, _ := pflag.UnquoteUsage(flag); flag.Name != "help" {
			parts = append(parts, strings.TrimRight("[--"+flag.Name+" "+value, " ")+"]")
		}
	})
	if _, arguments, ok := strings.Cut(cmd.Use, " "); ok {
		parts = append(parts, arguments)
	}
	return strings.Join(parts, " ")
}

// rejectUnknownCommand is the Args of commands that only have subcommands.
func rejectUnknownCommand(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unknown command %q; see outpost --help", mapper.RedactUserinfo(args[0]))}
}

// rejectArguments is the Args of commands without arguments.
func rejectArguments(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("too many arguments: %q; see outpost --help", mapper.RedactUserinfo(strings.Join(args, " ")))}
}

// rejectArgumentsOfFlags is the Args of commands that take flags but no arguments.
func rejectArgumentsOfFlags(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return wrongUse(cmd, fmt.Errorf("unexpected argument %q", mapper.RedactUserinfo(args[0])))
}
