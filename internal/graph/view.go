package graph

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/PabloL007/outpost/internal/socket"
)

// View selects and groups parts of a graph. The zero value shows all. Its fields are the parameters of /v1/graph and of the map page.
type View struct {
	// Container, Host, Project, Image and Node select nodes; all of them must match. Their neighbours are shown too.
	// Container is a name, with or without its slash, or the start of an ID.
	Container string
	Host      string
	Project   string
	Image     string
	// Node is the ID of a node or of a group, or a reference to a node.
	Node string
	// Query selects and excludes nodes and links. Its nodes must match the other selections too.
	Query Query
	// Depth is the number of links between a selected node and the farthest neighbour shown; 0 means 1.
	Depth int
	// Port selects the links to one port; 0 selects all.
	Port uint16
	// Protocol selects the links of one protocol: "tcp", "udp" or empty for both.
	Protocol string
	// DNS is "show" to show the links to the engine's own DNS resolver, which most containers have. They are hidden otherwise.
	DNS string
	// State selects live or past links: "live", "past" or empty for both.
	State string
	// Since drops the links last seen before it. NewSince marks the links and containers that are new or gone since then.
	Since, NewSince Moment
	// At shows the links of an earlier time. Their numbers of connections are unknown. Containers that appeared later are left
	// out. Before Graph.DataStart the graph is empty.
	At time.Time
	// Unlinked is "show", "hide" or empty. "show" drops external, ambiguous, unknown and past nodes without links, "hide" all nodes
	// without links. Empty keeps them, except where Port, Protocol, State "past" or Query selects links: then unlinked nodes are always dropped.
	Unlinked string
	// External is the treatment of external addresses without a name: "hide", "group", or "show" (the default).
	External string
	// Group is the level at which nodes are grouped: "service", "project", "host", "image", or "container" (the default).
	Group string
	// Open are the IDs of groups that are shown opened. An opened group with more than 60 nodes divides into smaller groups.
	Open []string
	// Closed are the IDs of groups that are shown although Group is another level.
	Closed []string
}

// Moment is a point in time, or a duration before now.
type Moment struct {
	Time time.Time
	Ago  time.Duration
}

func (m Moment) isZero() bool { return m.Time.IsZero() && m.Ago == 0 }

func (m Moment) before(now time.Time) time.Time {
	if m.Ago > 0 {
		return now.Add(-m.Ago)
	}
	return m.Time
}

// Options returns the parameter names that Set accepts.
func Options() []string {
	return []string{
		"at", "closed", "container", "depth", "dns", "external", "group", "host", "image", "newSince", "node", "open", "port", "project", "protocol", "q", "since",
		"state", "unlinked",
	}
}

const maxDepth = 100

// Set sets one parameter by its name; an empty value changes nothing. "open" and "closed" may be set repeatedly. The error lists the
// accepted values.
func (v *View) Set(name, value string) (err error) {
	if value == "" {
		return nil
	}
	switch name {
	case "container":
		v.Container = value
	case "host":
		v.Host = value
	case "project":
		v.Project = value
	case "image":
		v.Image = value
	case "node":
		v.Node = value
	case "open":
		v.Open = append(v.Open, value)
	case "closed":
		v.Closed = append(v.Closed, value)
	default:
		return v.setParsed(name, value)
	}
	return nil
}

// setParsed sets the parameters that are not free text.
func (v *View) setParsed(name, value string) (err error) {
	switch name {
	case "q":
		v.Query, err = ParseQuery(value)
	case "depth":
		v.Depth, err = parseNumber(name, value, maxDepth)
	case "port":
		var port int
		port, err = parseNumber(name, value, 1<<16-1)
		v.Port = uint16(port) //nolint:gosec // parseNumber limits it
	case "since":
		v.Since, err = parseMoment(name, value)
	case "newSince":
		v.NewSince, err = parseMoment(name, value)
	case "at":
		if v.At, err = time.Parse(time.RFC3339, value); err != nil {
			err = fmt.Errorf("at=%q: want a time such as 2026-01-02T15:04:05Z", value)
		}
	case "state":
		v.State, err = parseEnum(name, value, "live", "past")
	case "protocol":
		v.Protocol, err = parseEnum(name, value, socket.TCP.String(), socket.UDP.String())
	case "dns":
		v.DNS, err = parseEnum(name, value, "hide", "show")
	case "unlinked":
		v.Unlinked, err = parseEnum(name, value, "hide", "show")
	case "external":
		v.External, err = parseEnum(name, value, "group", "hide", "show")
	case "group":
		v.Group, err = parseEnum(name, value, "container", "service", "project", "host", "image")
	default:
		err = fmt.Errorf("unknown parameter %q: want one of %s", name, strings.Join(Options(), ", "))
	}
	return err
}

func parseNumber(name, value string, maximum int) (int, error) {
	number, err := strconv.Atoi(value)
	if err != nil || number < 1 || number > maximum {
		return 0, fmt.Errorf("%s=%q: want a whole number from 1 to %d", name, value, maximum)
	}
	return number, nil
}

func parseMoment(name, value string) (m Moment, err error) {
	if m.Ago, err = time.ParseDuration(value); err == nil && m.Ago > 0 {
		return m, nil
	}
	if m.Time, err = time.Parse(time.RFC3339, value); err != nil {
		return Moment{}, fmt.Errorf("%s=%q: want a duration such as 10m, or a time such as 2026-01-02T15:04:05Z", name, value)
	}
	return Moment{Time: m.Time}, nil
}

func parseEnum(name, value string, accepted ...string) (string, error) {
	if !slices.Contains(accepted, value) {
		last := len(accepted) - 1
		return "", fmt.Errorf("%s=%q: want %s or %s", name, value, strings.Join(accepted[:last], ", "), accepted[last])
	}
	return value, nil
}
