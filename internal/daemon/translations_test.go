package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/conntrack"
	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/socket"
)

// trackerFunc reads a table.
type trackerFunc func() (conntrack.Table, error)

func (f trackerFunc) Conntrack(context.Context) (conntrack.Table, error) { return f() }

// translatedDaemon is a daemon of a container with a connection from a remote endpoint.
func translatedDaemon(remote string, tracker trackerFunc) *Daemon {
	at := netip.MustParseAddrPort
	collector := collectorFunc(func(context.Context) (collect.Result, error) {
		return collect.Result{Readings: []collect.Reading{{
			Container: container.Container{ID: "it", Name: "/it", State: container.Running},
			NetNS: &collect.NetNS{ID: "it", Addresses: []netip.Addr{netip.MustParseAddr("172.17.0.2")}, Sockets: []socket.Socket{
				{Local: at("0.0.0.0:80"), State: socket.Listen}, {Local: at("172.17.0.2:80"), Remote: at(remote), State: socket.Established, Inode: 1},
			}},
			Method: collect.Procfs,
		}}}, nil
	})
	d := New(collector, collector, engineFunc(ready), nil, Kernel{}, &counts{}, NewChangeLog(zerolog.Nop()))
	d.TranslateWith(tracker)
	return d
}

// Maps and GET /v1/snapshot need the translations. GET /connections does not, nor does a container that nobody outside reaches.
func TestTranslationsAreReadForMaps(t *testing.T) {
	client, server := netip.MustParseAddrPort("192.0.2.7:5000"), netip.MustParseAddrPort("172.17.0.2:80")
	reads := 0
	tracker := func() (conntrack.Table, error) {
		reads++
		return conntrack.Table{Flows: []conntrack.Flow{{
			Original: conntrack.Tuple{Source: client, Destination: netip.MustParseAddrPort("10.77.0.11:8080")},
			Reply:    conntrack.Tuple{Source: server, Destination: client}, Replied: true,
		}}}, nil
	}
	d := translatedDaemon(client.String(), tracker)
	if taken, err := d.Snapshot(t.Context(), false); err != nil || reads != 0 || len(taken.Host.Translations.List) != 0 {
		t.Errorf("/connections: %d reads, %+v, %v", reads, taken.Host.Translations, err)
	}
	if taken, err := d.Snapshot(t.Context(), true); err != nil || reads != 1 || len(taken.Host.Translations.List) != 1 {
		t.Errorf("/v1/snapshot: %d reads, %+v, %v", reads, taken.Host.Translations, err)
	}
	if taken, err := d.Sample(t.Context()); err != nil || reads != 2 || len(taken.Host.Translations.List) != 1 {
		t.Errorf("a sample: %d reads, %+v, %v", reads, taken.Host.Translations, err)
	}
	if taken, err := translatedDaemon("172.17.0.2:5000", tracker).Snapshot(t.Context(), true); err != nil || reads != 2 || taken.Host.Translations.Missing != "" {
		t.Errorf("inside: %d reads, %+v, %v", reads, taken.Host.Translations, err)
	}
}

func TestUnreadableTranslationsHaveAReason(t *testing.T) {
	d := translatedDaemon("192.0.2.7:5000", func() (conntrack.Table, error) { return conntrack.Table{}, errors.New("group 0 is missing") })
	taken, err := d.Snapshot(t.Context(), true)
	if err != nil || taken.Host.Translations.Missing != "group 0 is missing" || taken.ToV1().Host.TranslationsMissing != "group 0 is missing" {
		t.Errorf("%+v, %v", taken.Host.Translations, err)
	}
}
