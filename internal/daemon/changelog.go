package daemon

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// ChangeLog logs what changes between collections, so that a request repeats no message. It is safe for concurrent use.
type ChangeLog struct {
	log zerolog.Logger

	mu         sync.Mutex
	engineDown bool
	last       map[string]string           // the last message, by subject
	unused     map[string]*unusedMethod    // by methodKey
	incomplete map[string]*containerLogged // by container ID
}

// repeatAfter is the minimum time before an equal message about a container or method is logged again after a recovery. Without
// it, a container that keeps crashing would fill the log.
const repeatAfter = time.Hour

// NewChangeLog returns a change log that writes to log.
func NewChangeLog(log zerolog.Logger) *ChangeLog {
	return &ChangeLog{
		log: log, last: make(map[string]string), unused: make(map[string]*unusedMethod), incomplete: make(map[string]*containerLogged),
	}
}

// Probed logs which methods work, and what is missing for the others.
func (c *ChangeLog) Probed(result collect.ProbeResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.log.Info()
	for _, status := range result.Methods {
		line.Stringer(string(status.Method), status)
		if status.Works < status.Tried && status.Method != collect.Exec {
			c.unused[methodKey(status.Method, status.Problem.Reason)] = &unusedMethod{active: true, loggedAt: time.Now()}
		}
	}
	owners := "works"
	if result.CgroupProblem != "" {
		owners = "does not work: " + result.CgroupProblem
	}
	line.Str("owners_by_cgroup", owners).Msg("Probed the methods of reading socket tables")
}

// EventsFollowed logs whether the engine's event stream is followed. err is why it is not.
func (c *ChangeLog) EventsFollowed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed("events", errorText(err)) {
		return
	}
	if err != nil {
		c.log.Warn().Err(err).Msg("Cannot follow the engine's events; listing all containers at each request")
		return
	}
	c.log.Info().Msg("Following the engine's events again")
}

// engine logs whether the engine responds.
func (c *ChangeLog) engine(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch down := err != nil; {
	case down && !c.engineDown:
		c.log.Error().Err(err).Msg("The container engine does not respond; retrying at each request")
	case !down && c.engineDown:
		c.log.Info().Msg("The container engine responds again")
	}
	c.engineDown = err != nil
}

// host logs whether the engine describes itself.
func (c *ChangeLog) host(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed("host", errorText(err)) && err != nil {
		c.log.Warn().Err(err).Msg("Cannot read the engine's name and version")
	}
}

// networks logs whether the engine lists its networks.
func (c *ChangeLog) networks(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed("networks", errorText(err)) && err != nil {
		c.log.Info().Err(err).Msg("Cannot list the engine's networks; recognising its bridges by their names and containers")
	}
}

// interfaces logs the detected addresses of the host.
func (c *ChangeLog) interfaces(detected []netip.Addr, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed("interfaces", fmt.Sprint(detected, err)) {
		return
	}
	switch {
	case err != nil:
		c.log.Warn().Err(err).Msg("Cannot read the host's addresses")
	case len(detected) > 0:
		c.log.Info().Interface("interfaces", detected).Msg("Detected the host's addresses; OUTPOST_INTERFACES overrides them")
	}
}

// changed records text as the last message about subject and reports whether it differs from the previous one.
func (c *ChangeLog) changed(subject, text string) bool {
	last := c.last[subject]
	c.last[subject] = text
	return text != last
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// collected logs the changes that a collection shows. exited are containers that ended during it.
func (c *ChangeLog) collected(taken snapshot.Snapshot, exited []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.methods(taken.Containers)
	incomplete := c.containers(taken.Containers)
	c.log.Debug().Int("containers", len(taken.Containers)).Int("incomplete", incomplete).
		Strs("left_out_gone", exited).Dur("took_ms", taken.Duration).Msg("Collected")
}
