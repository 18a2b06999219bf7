package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/PabloL007/outpost/internal/api"
	"github.com/PabloL007/outpost/internal/config"
	"github.com/PabloL007/outpost/internal/history"
	"github.com/PabloL007/outpost/internal/mapper"
	"github.com/PabloL007/outpost/internal/metrics"
)

func newMapCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "map [TARGET…]",
		Short: "Serve the map of many hosts: poll their daemons and combine the answers",
		Long: `Serve the map of many hosts: poll the daemons of OUTPOST_TARGETS and the targets of the command line.
A target is one of:

  HOST[:PORT]                   one daemon; the default port is 9057
  http://…, https://…           one daemon
  dns:[https://]NAME:PORT       a daemon at each address of NAME
  file:PATH                     a target in each line of a file`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			return serveMap(cmd.Context(), args, c, cmd.ErrOrStderr())
		},
	}
}

// serveMap polls the daemons and serves their map until ctx ends.
func serveMap(ctx context.Context, args []string, c config.Config, stderr io.Writer) error {
	texts := slices.Concat(args, c.Targets)
	if len(texts) == 0 {
		return usageError{errors.New("map: no targets: name daemons, such as outpost map host1 host2:9057, or set OUTPOST_TARGETS")}
	}
	targets, err := mapper.ParseTargets(texts)
	if err != nil {
		return usageError{fmt.Errorf("map: %w", err)}
	}
	names, err := readNames(c.Names)
	if err != nil {
		return err
	}
	limits := limitMemory()
	log, guard, err := prepare(c, stderr)
	if err != nil {
		return err
	}
	links, err := openLinks(c.Links, log)
	if err != nil {
		return err
	}
	transport, err := newTransport(c, c.TargetToken, mapper.NewTransport)
	if err != nil {
		return err
	}
	m := mapper.New(mapper.Options{
		Targets: targets, Interval: c.Interval, StaleAfter: c.StaleAfter,
		Transport: transport, Names: names, MaxBody: limits.maxBody,
	}, history.New(c.Window), log)
	handler := api.New(api.Options{
		Map: m, Metrics: metrics.NewMapperHandler(buildVersion(), m.Latest, c.MetricsMaxLinks), ContainerLinks: links, Version: buildVersion(), Log: log,
	})
	listener, err := listen(ctx, c, guard, log)
	if err != nil {
		return err
	}
	polling, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { m.Run(polling) })
	defer func() {
		stop()
		running.Wait()
	}()
	log.Info().Str("version", buildVersion()).Stringer("address", listener.Addr()).Strs("targets", mapper.Names(targets)).
		Dur("interval_ms", c.Interval).Msg("Serving")
	return serveUntil(ctx, api.NewServer(handler), guard, listener, nil, log)
}
