// Package wait has waits that end with a context.
package wait

import (
	"context"
	"sync"
	"time"
)

// For waits for duration. It returns the error of ctx if ctx ends first.
func For(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Group waits for group. It returns the error of ctx if ctx ends first; then a goroutine keeps waiting for group.
func Group(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
