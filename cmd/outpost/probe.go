package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/config"
)

// The pause between probes doubles from minProbePause to maxProbePause while the engine does not answer.
const (
	minProbePause = time.Second
	maxProbePause = 10 * time.Second
)

// probe probes the methods as soon as the engine answers. It fails only if ctx ends.
func (o *outpost) probe(ctx context.Context) (collect.ProbeResult, error) {
	pauses := &backoff.ExponentialBackOff{InitialInterval: minProbePause, Multiplier: 2, MaxInterval: maxProbePause}
	return backoff.Retry(ctx, func() (collect.ProbeResult, error) {
		_ = o.Ready(ctx) // logs an engine that is down before the first request
		return o.collector.Probe(ctx)
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
}

var errUntried = errors.New("no container to try a method on")

// probeUntilTried probes until each method was tried on a container. If a method is forced, a probe that shows that it
// cannot work suffices. It fails only if ctx ends.
func (o *outpost) probeUntilTried(ctx context.Context, forced bool) (collect.ProbeResult, error) {
	logged := false
	return backoff.Retry(ctx, func() (collect.ProbeResult, error) {
		result, err := o.probe(ctx)
		if err != nil {
			return result, backoff.Permanent(err)
		}
		if !logged {
			logged = true
			o.changes.Probed(result)
		}
		if result.Tried() || forced && unworkableMethod(result) != nil {
			return result, nil
		}
		return result, errUntried
	}, backoff.WithBackOff(backoff.NewConstantBackOff(maxProbePause)), backoff.WithMaxElapsedTime(0))
}

// The default intervals of samples. A collection through the host's /proc costs more than through netlink. A
// command in each container costs too much for samples.
const (
	sampleBySockdiag = 5 * time.Second
	sampleByProcfs   = 15 * time.Second
)

// sampleInterval returns the interval of samples; 0 means never.
func sampleInterval(c config.Config, result collect.ProbeResult) time.Duration {
	if c.SampleInterval != config.SampleByMethod {
		return max(0, c.SampleInterval)
	}
	works := make(map[collect.Method]bool)
	for _, method := range result.Methods {
		works[method.Method] = method.Works > 0
	}
	switch {
	case works[collect.Sockdiag]:
		return sampleBySockdiag
	case works[collect.Procfs]:
		return sampleByProcfs
	}
	return 0
}

// checkForcedMethod returns why the forced method cannot work.
func (o *outpost) checkForcedMethod(ctx context.Context) error {
	result, err := o.collector.Probe(ctx)
	if err != nil {
		return err
	}
	return unworkableMethod(result)
}

// unworkableMethod returns why a method cannot work on this host, or nil if only some containers prevent it.
func unworkableMethod(result collect.ProbeResult) error {
	for _, method := range result.Methods {
		if method.Works == 0 && method.HostWide {
			return fmt.Errorf("OUTPOST_COLLECTOR=%s %s", method.Method, method)
		}
	}
	return nil
}
