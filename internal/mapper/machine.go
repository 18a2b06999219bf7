package mapper

import (
	"context"
	"time"

	"github.com/PabloL007/outpost/internal/correlate"
)

// maxDocumentPolls bounds how often the documents of other targets are completed before an answer is stored without them.
const maxDocumentPolls = 3

// siblings returns the other targets that share the machine of a host. The caller holds m.mu.
func (m *Mapper) siblings(t *polledTarget, host *correlate.Host) (siblings []*polledTarget) {
	for _, other := range m.targets {
		if other != t && other.host != nil && host.SharesMachine(other.host) {
			siblings = append(siblings, other)
		}
	}
	return siblings
}

// lockWithDocuments locks m.mu when each target that shares the machine of a new host of t has its document, or does not answer. So the
// map never shows such targets apart. It reports whether there are any.
func (m *Mapper) lockWithDocuments(ctx context.Context, t *polledTarget, host *correlate.Host) (isShared bool) {
	for range maxDocumentPolls {
		m.mu.Lock()
		var missing []*polledTarget
		siblings := m.siblings(t, host)
		for _, sibling := range siblings {
			if sibling.document != nil {
				continue
			}
			sibling.etag = "" // so that its next answer is complete, also if it does not answer now
			if sibling.reason == "" {
				missing = append(missing, sibling)
			}
		}
		if len(missing) == 0 {
			return len(siblings) > 0
		}
		m.mu.Unlock()
		answered := true
		for _, sibling := range missing {
			answered = m.pollDocument(ctx, sibling) && answered
		}
		if !answered {
			break
		}
	}
	m.mu.Lock()
	return true
}

// pollDocument polls a target for its document, and reports whether it answers. Its own polls report why it does not.
func (m *Mapper) pollDocument(ctx context.Context, t *polledTarget) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, m.pollTimeout)
	defer cancel()
	began, from := time.Now(), m.addressOf(t)
	result, err := m.client.fetch(ctx, from, pollResult{})
	if err != nil {
		return false
	}
	host := correlate.NewHost(result.snapshot, result.from, m.previousHost(t), time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.removed || t.address != from {
		return false
	}
	m.store(ctx, t, answer{result, began, time.Now(), nil}, host)
	t.document = &result.snapshot
	return true
}

func (m *Mapper) addressOf(t *polledTarget) address {
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.address
}
