package daemon

import (
	"context"

	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// Tracker reads the connections that the host's kernel tracks. A collect.Collector is one.
type Tracker interface {
	// Conntrack reads the translated connections. An error is a reason for people.
	Conntrack(ctx context.Context) (conntrack.Table, error)
}

// TranslateWith adds to all further snapshots for maps what tracker reads.
func (d *Daemon) TranslateWith(tracker Tracker) {
	d.collectSem <- struct{}{}
	defer func() { <-d.collectSem }()
	d.tracker = tracker
}

// addTranslations adds to a snapshot the translations of its connections. It reads no table if none of them can be translated.
func (d *Daemon) addTranslations(ctx context.Context, taken *snapshot.Snapshot) {
	if d.tracker == nil || !taken.MayBeTranslated() {
		return
	}
	table, err := d.tracker.Conntrack(ctx)
	if err != nil {
		taken.Host.Translations.Missing = err.Error()
		return
	}
	taken.AddTranslations(table)
}
