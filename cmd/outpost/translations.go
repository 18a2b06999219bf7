package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/PabloL007/outpost/internal/hostproc"
)

// examineTranslations prints whether the kernel's table of tracked connections is readable, and what is missing. The collector must have
// collected.
func examineTranslations(ctx context.Context, here *outpost, row printRow) {
	table, err := here.collector.Conntrack(ctx)
	if err != nil {
		row("translations", "are inferred from addresses and ports: %v", err)
		if flags := flagsForTranslations(here.collector.HasMountedProc()); len(flags) > 0 {
			row("", "the kernel's table would show the clients behind them: %s", strings.Join(flags, " "))
		}
		return
	}
	row("translations", "the kernel's table is readable: %d of %d tracked connections are translated", len(table.Flows), table.Rows)
	if table.Cut {
		row("", "the host tracks more connections than Outpost reads")
	}
}

// flagsForTranslations returns the flags that Outpost lacks to try to read the table. Once it tries, the reason names the others.
func flagsForTranslations(hasProc bool) (flags []string) {
	if hasProc {
		return nil
	}
	flags = []string{"-v /proc:" + hostproc.DefaultMount + ":ro"}
	if groups, err := os.Getgroups(); os.Getegid() != 0 && (err != nil || !slices.Contains(groups, 0)) {
		flags = append(flags, "--group-add 0")
	}
	return flags
}
