package daemon

import (
	"fmt"
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
	incomplete map[string]*history // by container ID
}

// history is what was logged of a container.
type history struct {
	reasons string               // the last; empty if the container was complete
	logged  map[string]time.Time // when which reasons were logged
}

// repeatAfter is how long the same reasons of the same container are not logged again after it was complete
// meanwhile: a container that keeps crashing would else fill the log.
const repeatAfter = time.Hour

func newJournal(log zerolog.Logger) *journal {
	return &journal{log: log, incomplete: make(map[string]*history)}
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

// containers notes the outcome of a collection.
func (j *journal) containers(containers []snapshot.Container, gone []string, took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	incomplete := 0
	histories := make(map[string]*history)
	for _, c := range containers {
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
	j.log.Debug().Int("containers", len(containers)).Int("incomplete", incomplete).
		Strs("left_out_gone", gone).Dur("took_ms", took).Msg("Collected")
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
	j.log.Warn().Str("container", c.ID).Str("name", c.Name).Str("reason", joined(c.Problems)).Msg(messageOf(c))
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
		Int("sockets", c.Sockets).
		Int("listening", len(c.Listening)).
		Int("established", len(c.Established)).
		Int("left_out_loopback", c.LeftOut.Loopback).
		Int("left_out_unpublished", c.LeftOut.Unpublished).
		Int("left_out_other_state", c.LeftOut.OtherState).
		Int("left_out_owner_unknown", c.LeftOut.OwnerUnknown).
		Int("left_out_not_its_own", c.LeftOut.NotItsOwn).
		Str("problems", joined(c.Problems)).
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

func joined(problems []collect.Problem) string {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}
