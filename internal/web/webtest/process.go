package webtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/chromedp/chromedp"
)

// process is the Chromium that all browsers of the package's tests share at a time: its start takes seconds of a core. The last one ends it.
var process struct {
	mu    sync.Mutex
	users int
	ctx   context.Context
	end   func()
}

// acquire returns the context of the shared Chromium. It starts it for the first user.
func acquire(path string) (ctx context.Context, release func(), err error) {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users == 0 {
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(stepTimeout), chromedp.Env("TZ="+noonZone(time.Now())),
			chromedp.Flag("force-prefers-reduced-motion", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, shut := chromedp.NewContext(allocator)
		if err := chromedp.Do(ctx); err != nil {
			shut()
			end()
			return nil, nil, err
		}
		process.ctx, process.end = ctx, func() { shut(); end() }
	}
	process.users++
	return process.ctx, sync.OnceFunc(releaseProcess), nil
}

func releaseProcess() {
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.users--; process.users == 0 {
		process.end()
	}
}

// noonZone returns a time zone in which it is between 12:00 and 13:00. The page writes the date of a time of another day, and no test is to
// depend on the hour at which it runs.
func noonZone(now time.Time) string {
	west := now.UTC().Hour() - 12 // the names of these zones count to the west
	return fmt.Sprintf("Etc/GMT%+d", west)
}
