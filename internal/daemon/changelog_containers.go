package daemon

import (
	"fmt"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/collect"
	"github.com/PabloL007/outpost/internal/snapshot"
)

// containerLogged is what was logged about one container.
type containerLogged struct {
	reasons  string               // the last ones; empty if the container was read completely
	loggedAt map[string]time.Time // by reasons
}

// unusedMethod is a method that could not be used for one reason.
type unusedMethod struct {
	active   bool // in the latest collection
	loggedAt time.Time
}

func methodKey(method collect.Method, reason string) string { return string(method) + ": " + reason }

// methods logs once for all containers that a better method cannot be used, and that it can be used again.
func (c *ChangeLog) methods(containers []snapshot.Container) {
	active := make(map[string]bool)
	for _, current := range containers {
		for _, u := range current.Unused {
			key := methodKey(u.Method, u.Reason)
			if !active[key] && c.isNew(key) {
				c.log.Warn().Str("method", string(u.Method)).Str("reason", u.String()).Str("instead", string(current.Method)).
					Str("container", current.ID).Msg("Cannot use a better method of reading socket tables")
			}
			active[key] = true
		}
	}
	for key, previous := range c.unused {
		switch {
		case !active[key] && previous.active:
			previous.active = false
			method, reason, _ := strings.Cut(key, ": ")
			c.log.Info().Str("method", method).Str("reason", reason).Msg("This reason no longer prevents a better method for any container")
		case !active[key] && time.Since(previous.loggedAt) > repeatAfter:
			delete(c.unused, key)
		}
	}
}

// isNew records that a method cannot be used and reports whether to log it.
func (c *ChangeLog) isNew(key string) bool {
	previous, known := c.unused[key]
	if known && (previous.active || time.Since(previous.loggedAt) < repeatAfter) {
		return false // active stays unchanged, so that the end of an unlogged problem is not logged either
	}
	c.unused[key] = &unusedMethod{active: true, loggedAt: time.Now()}
	return true
}

// containers logs changes of all containers and returns how many are incomplete.
func (c *ChangeLog) containers(containers []snapshot.Container) (incomplete int) {
	kept := make(map[string]*containerLogged)
	for _, current := range containers {
		c.debug(current)
		logged := c.incomplete[current.ID]
		if len(current.Problems) > 0 {
			incomplete++
		} else if logged == nil {
			continue
		}
		if logged == nil {
			logged = &containerLogged{loggedAt: make(map[string]time.Time)}
		}
		kept[current.ID] = logged
		c.container(current, logged)
	}
	c.incomplete = kept
	return incomplete
}

// container logs what changed about one container.
func (c *ChangeLog) container(current snapshot.Container, logged *containerLogged) {
	reasons := reasonKey(current.Problems)
	if reasons == logged.reasons {
		return
	}
	logged.reasons = reasons
	if last, ok := logged.loggedAt[reasons]; ok && time.Since(last) < repeatAfter {
		return
	}
	logged.loggedAt[reasons] = time.Now()
	if reasons == "" {
		c.log.Info().Str("container", current.ID).Str("name", current.Name).Msg("The container is read completely again")
		return
	}
	c.log.Warn().Str("container", current.ID).Str("name", current.Name).Str("reason", current.Reason()).Msg(incompleteMessage(current))
}

// incompleteMessage keeps the original Outpost's text for unknown owners, because existing alerts may match it.
func incompleteMessage(c snapshot.Container) string {
	if c.ProcessesUnreadable {
		return fmt.Sprintf("Unable to obtain inodes for the container's (%s) main process. Some connections will be omitted to preserve accuracy", c.ID)
	}
	return "The container could not be read completely"
}

func (c *ChangeLog) debug(current snapshot.Container) {
	c.log.Debug().Str("container", current.ID).Str("name", current.Name).
		Str("network", string(current.NetworkMode)).
		Str("method", string(current.Method)).
		Int("sockets", current.Sockets).
		Int("listening", len(current.Listening)).
		Int("established", len(current.Established)).
		Int("left_out_loopback", current.LeftOut.Loopback).
		Int("left_out_unpublished", current.LeftOut.Unpublished).
		Int("left_out_senders", current.LeftOut.Senders).
		Int("left_out_other_state", current.LeftOut.OtherState).
		Int("left_out_owner_unknown", current.LeftOut.OwnerUnknown).
		Int("left_out_not_its_own", current.LeftOut.NotItsOwn).
		Str("udp_unread", current.UDPUnread).
		Str("problems", current.Reason()).
		Msg("Read")
}

// reasonKey joins the reasons of problems without their details, which vary while the cause stays the same.
func reasonKey(problems []collect.Problem) string {
	reasons := make([]string, len(problems))
	for i, p := range problems {
		reasons[i] = p.Reason
	}
	return strings.Join(reasons, "; ")
}
