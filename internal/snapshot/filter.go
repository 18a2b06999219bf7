package snapshot

import (
	"slices"
	"strings"
)

// Filter selects containers. An empty field selects all.
type Filter struct {
	// Container is a name, with or without the leading slash, or an ID prefix.
	Container string
	// Project is a Docker Compose project.
	Project string
}

// Apply returns s with only the containers that f selects. A container with the exact name wins over an ID prefix, because a
// name may look like an ID.
func (f Filter) Apply(s Snapshot) Snapshot {
	hasName := func(c Container) bool { return strings.TrimPrefix(c.Name, "/") == strings.TrimPrefix(f.Container, "/") }
	nameExists := slices.ContainsFunc(s.Containers, hasName)
	var selected []Container
	for _, c := range s.Containers {
		byContainer := f.Container == "" || hasName(c) || !nameExists && strings.HasPrefix(c.ID, f.Container)
		if byContainer && (f.Project == "" || c.Project == f.Project) {
			selected = append(selected, c)
		}
	}
	s.Containers = selected
	return s
}
