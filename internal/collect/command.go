package collect

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/PabloL007/outpost/internal/container"
	"github.com/PabloL007/outpost/internal/procfd"
)

// byCommand reads tables by a command in one of the members. As long as one does not answer, the next is asked after
// half of the time that is left, so that those that hang take no longer together than a single one may. Toward the end
// no more are: what then remains of the time is too short for an answer.
func (r *round) byCommand(ctx context.Context, members []*member) (got tables, err error) {
	leave, err := r.pending.enter(ctx)
	if err != nil {
		return tables{}, err
	}
	defer leave()
	r.executing.during(func(deadline time.Time) (hung bool) {
		asked := commands{
			round: r, deadline: deadline, tooShort: time.Until(deadline) / shortest, answers: make(chan commandAnswer, len(members)),
		}
		ctx, cancel := context.WithCancel(ctx)
		defer asked.running.Wait()
		defer cancel()
		got, err = asked.ask(ctx, members)
		return asked.hung
	})
	return got, err
}

// shortest is the part of the time below which no other member is asked beside those that do not answer.
const shortest = 8

// commands are those that run for one namespace.
type commands struct {
	*round
	deadline time.Time
	tooShort time.Duration // for an answer
	asked    []*member     // and not answered, the first first
	hung     bool          // it was waited for one that does not answer
	answers  chan commandAnswer
	running  sync.WaitGroup
}

type commandAnswer struct {
	tables
	from *member
	err  error
}

func (c *commands) ask(ctx context.Context, members []*member) (best tables, firstErr error) {
	for another := true; another || len(c.asked) > 0; another = len(members) > 0 && time.Until(c.deadline) > 0 {
		if another {
			c.start(ctx, members[0])
			members = members[1:]
		}
		answer, ok := c.next(len(members) > 0)
		if !ok {
			continue // with the next member beside it
		}
		c.hung = c.hung || unanswered(answer.err) || answer.err == nil && c.asked[0] != answer.from
		c.asked = slices.DeleteFunc(c.asked, func(m *member) bool { return m == answer.from })
		if answer.err == nil {
			return answer.tables, nil
		}
		answer.from.tablesErr = answer.err
		firstErr = first(firstErr, answer.err)
		if len(answer.sockets) > len(best.sockets) {
			best = answer.tables
		}
	}
	return best, firstErr
}

// next waits for an answer or, if there is another member to ask, for half of the time that is left.
func (c *commands) next(another bool) (answer commandAnswer, ok bool) {
	var late <-chan time.Time
	if another && time.Until(c.deadline) > c.tooShort {
		timer := time.NewTimer(time.Until(c.deadline) / 2)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case answer = <-c.answers:
		return answer, true
	case <-late:
		return commandAnswer{}, false
	}
}

func (c *commands) start(ctx context.Context, m *member) {
	c.asked = append(c.asked, m)
	c.running.Go(func() {
		got, err := c.tablesFrom(ctx, m)
		c.answers <- commandAnswer{got, m, err}
	})
}

// tablesFrom runs the command in a container, unless that cannot be.
func (c *commands) tablesFrom(ctx context.Context, m *member) (tables, error) {
	if err := executable(m); err != nil {
		return tables{}, err
	}
	which := call{kindExec, m.Container.ID}
	return answered(ctx, c.pending, c.deadline, which, func(ctx context.Context) (tables, error) {
		return c.executor.tables(ctx, m.Container)
	})
}

func (r *round) ownersByCommand(ctx context.Context, m *member) (procfd.Owners, error) {
	if err := executable(m); err != nil {
		return procfd.Owners{}, err
	}
	return await(ctx, r.pending, r.executing, call{kindExec, m.Container.ID}, func(ctx context.Context) (procfd.Owners, error) {
		return r.executor.owners(ctx, m.Container)
	})
}

// executable returns why no command is run in a container.
func executable(m *member) error {
	switch {
	case ended(m.process.err): // it would be told of an end that the engine has not noticed yet
		return m.process.err
	case m.Container.State == container.Paused:
		return &explainedError{Problem: Problem{Reason: "the container is paused: nothing can be run in it"}}
	}
	return nil
}
