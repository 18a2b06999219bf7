package collect

import (
	"fmt"
	"slices"
)

// ProbeResult is what a probe found.
type ProbeResult struct {
	// Methods has the methods that may be used, the best first.
	Methods []MethodStatus
	// CgroupProblem is why sockets cannot be attributed to containers by cgroup. Empty: they can.
	CgroupProblem string
}

// Tried reports whether any method was tried on a container.
func (r ProbeResult) Tried() bool {
	return slices.ContainsFunc(r.Methods, func(s MethodStatus) bool { return s.Tried > 0 })
}

// MethodStatus is whether a method works on this host.
type MethodStatus struct {
	Method Method
	// Works and Tried count containers. None is tried if none runs, or if a better method works for all.
	Works, Tried int
	// Problem is why the first failed container could not be read. A problem of the host replaces it.
	Problem Problem
	// HostWide means that the cause of Problem is in Outpost's rights or the host, not in the container.
	HostWide bool
	// NotNeeded means that a better method works for all containers.
	NotNeeded bool
}

func (s *MethodStatus) addFailure(err error) {
	hostWide := isHostWide(err)
	if s.Problem == (Problem{}) || hostWide && !s.HostWide {
		s.Problem, s.HostWide = toProblem(err), hostWide
	}
}

// String returns the status as a short text.
func (s MethodStatus) String() string {
	switch {
	case s.NotNeeded:
		return "not needed"
	case s.Tried == 0 && s.Problem == Problem{}:
		return "seems to work; no running container to test it on"
	case s.Works == s.Tried && s.Tried > 0:
		return "works"
	case s.Works > 0:
		return fmt.Sprintf("works for %d of %d containers; else %s", s.Works, s.Tried, s.Problem.Reason)
	case !s.HostWide && s.Tried > 0:
		return fmt.Sprintf("does not work for the %d containers tried: %s", s.Tried, s.Problem.Reason)
	}
	return "does not work: " + s.Problem.Reason
}
