package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/config"
)

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Print the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return rejectUnknownCommand(cmd, args)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, command := range cmd.Root().Commands() {
				names = append(names, cobra.CompletionWithDesc(command.Name(), command.Short))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// showVariables prints the environment variables.
func showVariables(w io.Writer) {
	_, _ = fmt.Fprint(w, "\nEnvironment variables (name, default, meaning):\n")
	if err := config.Usage(w); err != nil {
		_, _ = fmt.Fprintln(w, err)
	}
}
