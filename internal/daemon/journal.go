package daemon

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// journal writes to the log what changes from one collection to the next: nothing is repeated at each poll.
type journal struct {
	log zerolog.Logger

	mu         sync.Mutex
	engineDown bool
	last       map[string]string   // what was logged last, by subject
	unused     map[string]*unused  // by method and why it could not be used
	incomplete map[string]*history // by container ID
}

// history is what was logged of a container.
type history struct {
	reasons string               // the last; empty if the container was complete
	logged  map[string]time.Time // when which reasons were logged
}

// unused is a method that could not be used for a reason.
type unused struct {
	now    bool
	logged time.Time
}

// repeatAfter is how long the same reasons of the same container, or for not using a method, are not logged again after all was
// well meanwhile: a container that keeps crashing would else fill the log.
const repeatAfter = time.Hour

func newJournal(log zerolog.Logger) *journal {
	return &journal{log: log, last: make(map[string]string), unused: make(map[string]*unused), incomplete: make(map[string]*history)}
}

// engine notes whether the engine answered.
func (j *journal) engine(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch down := err != nil; {
	case down && !j.engineDown:
		j.log.Error().Err(err).Msg("The container engine does not answer; trying again at each request")
	case !down && j.engineDown:
		j.log.Info().Msg("The container engine answers again")
	}
	j.engineDown = err != nil
}

// changed reports whether text is another than the last of the same subject.
func (j *journal) changed(subject, text string) bool {
	last := j.last[subject]
	j.last[subject] = text
	return text != last
}

// found logs which methods work, and what is missing for those that do not.
func (j *journal) found(findings collect.ProbeResult) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := j.log.Info()
	for _, report := range findings.Methods {
		line.Stringer(string(report.Method), report)
		if report.Works < report.Tried && report.Method != collect.Exec {
			j.unused[unusedKey(report.Method, report.Problem.Reason)] = &unused{now: true, logged: time.Now()}
		}
	}
	owners := "works"
	if findings.CgroupProblem != "" {
		owners = "does not work: " + findings.CgroupProblem
	}
	line.Str("owners_by_cgroup", owners).Msg("Ways to read socket tables; a command is run where nothing better works")
}

// followed notes whether the engine's events are followed.
func (j *journal) followed(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.changed("events", textOf(err)) {
		return
	}
	if err != nil {
		j.log.Warn().Err(err).Msg("The engine's events cannot be followed: it is asked for all containers at each request")
		return
	}
	j.log.Info().Msg("Following the engine's events again")
}

// host notes whether the engine told of itself.
func (j *journal) host(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed("host", textOf(err)) && err != nil {
		j.log.Warn().Err(err).Msg("The engine does not tell its name and version")
	}
}

// interfaces notes which addresses of the host were found.
func (j *journal) interfaces(found []netip.Addr, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.changed("interfaces", fmt.Sprint(found, err)) {
		return
	}
	switch {
	case err != nil:
		j.log.Warn().Err(err).Msg("The host's addresses cannot be read")
	case len(found) > 0:
		j.log.Info().Interface("interfaces", found).Msg("Found the host's addresses; OUTPOST_INTERFACES would say others")
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func unusedKey(method collect.Method, reason string) string { return string(method) + ": " + reason }

// methods logs why a better method cannot be used, or can again, once for all containers.
func (j *journal) methods(containers []snapshot.Container) {
	now := make(map[string]bool)
	for _, c := range containers {
		for _, u := range c.Unused {
			key := unusedKey(u.Method, u.Reason)
			if !now[key] && j.isNew(key) {
				j.log.Warn().Str("method", string(u.Method)).Str("reason", u.String()).Str("instead", string(c.Method)).
					Str("container", c.ID).Msg("A better way to read socket tables cannot be used")
			}
			now[key] = true
		}
	}
	for key, before := range j.unused {
		switch {
		case !now[key] && before.now:
			before.now = false
			method, reason, _ := strings.Cut(key, ": ")
			j.log.Info().Str("method", method).Str("reason", reason).Msg("No container is kept from a better way any more for this reason")
		case !now[key] && time.Since(before.logged) > repeatAfter:
			delete(j.unused, key)
		}
	}
}

// isNew notes that a method cannot be used, and reports whether that is to be logged.
func (j *journal) isNew(key string) bool {
	before, known := j.unused[key]
	if known && (before.now || time.Since(before.logged) < repeatAfter) {
		return false // and nothing is said when that is over
	}
	j.unused[key] = &unused{now: true, logged: time.Now()}
	return true
}

// containers notes the outcome of a collection.
func (j *journal) containers(taken snapshot.Snapshot, gone []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.methods(taken.Containers)
	incomplete := 0
	histories := make(map[string]*history)
	for _, c := range taken.Containers {
		j.debug(c)
		before := j.incomplete[c.ID]
		if len(c.Problems) > 0 {
			incomplete++
		} else if before == nil {
			continue
		}
		if before == nil {
			before = &history{logged: make(map[string]time.Time)}
		}
		histories[c.ID] = before
		j.container(c, before)
	}
	j.incomplete = histories
	j.log.Debug().Int("containers", len(taken.Containers)).Int("incomplete", incomplete).
		Strs("left_out_gone", gone).Dur("took_ms", taken.Duration).Msg("Collected")
}

// container logs what is new of a container.
func (j *journal) container(c snapshot.Container, before *history) {
	reasons := reasonsOf(c.Problems)
	if reasons == before.reasons {
		return
	}
	before.reasons = reasons
	if last, ok := before.logged[reasons]; ok && time.Since(last) < repeatAfter {
		return
	}
	before.logged[reasons] = time.Now()
	if reasons == "" {
		j.log.Info().Str("container", c.ID).Str("name", c.Name).Msg("The container is read completely again")
		return
	}
	j.log.Warn().Str("container", c.ID).Str("name", c.Name).Str("reason", c.Reason()).Msg(messageOf(c))
}

// messageOf keeps the original Outpost's words for what existing alerts may look for.
func messageOf(c snapshot.Container) string {
	if c.OwnersUnknown {
		return fmt.Sprintf("Unable to obtain inodes for the container's (%s) main process. Some connections will be omitted to preserve accuracy", c.ID)
	}
	return "The container could not be read completely"
}

func (j *journal) debug(c snapshot.Container) {
	j.log.Debug().Str("container", c.ID).Str("name", c.Name).
		Str("network", string(c.Network)).
		Str("method", string(c.Method)).
		Int("sockets", c.Sockets).
		Int("listening", len(c.Listening)).
		Int("established", len(c.Established)).
		Int("left_out_loopback", c.LeftOut.Loopback).
		Int("left_out_unpublished", c.LeftOut.Unpublished).
		Int("left_out_other_state", c.LeftOut.OtherState).
		Int("left_out_owner_unknown", c.LeftOut.OwnerUnknown).
		Int("left_out_not_its_own", c.LeftOut.NotItsOwn).
		Str("problems", c.Reason()).
		Msg("Read")
}

// reasonsOf returns what stays the same as long as the same is wrong.
func reasonsOf(problems []collect.Problem) string {
	reasons := make([]string, len(problems))
	for i, p := range problems {
		reasons[i] = p.Reason
	}
	return strings.Join(reasons, "; ")
}
