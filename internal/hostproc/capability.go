package hostproc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Capability is a capability of capabilities(7), numbered as in include/uapi/linux/capability.h.
type Capability uint

// The capabilities that reading /proc, entering a namespace, hearing other namespaces or reading tracked connections may require.
const (
	DACReadSearch Capability = 2
	NetBroadcast  Capability = 11
	NetAdmin      Capability = 12
	SysPtrace     Capability = 19
	SysAdmin      Capability = 21
)

// String returns the kernel's name, such as CAP_SYS_PTRACE.
func (c Capability) String() string {
	switch c {
	case DACReadSearch:
		return "CAP_DAC_READ_SEARCH"
	case NetBroadcast:
		return "CAP_NET_BROADCAST"
	case NetAdmin:
		return "CAP_NET_ADMIN"
	case SysPtrace:
		return "CAP_SYS_PTRACE"
	case SysAdmin:
		return "CAP_SYS_ADMIN"
	}
	return fmt.Sprintf("capability %d", uint(c))
}

// Capabilities is the effective set of a process, one bit for each capability.
type Capabilities uint64

// Has reports whether the set contains c.
func (cs Capabilities) Has(c Capability) bool { return cs>>c&1 == 1 }

// ExplainDenial explains why the kernel denied an operation that requires all of the given capabilities. It names the
// missing ones and their flags or, if the set contains all, what else may forbid the operation. purpose is the operation, such
// as "to enter a network namespace".
func (cs Capabilities) ExplainDenial(purpose string, required ...Capability) string {
	var missing []string
	for _, c := range required {
		if !cs.Has(c) {
			missing = append(missing, c.String())
		}
	}
	verb := " is missing "
	switch len(missing) {
	case 0:
		return "despite its capabilities, AppArmor, SELinux, seccomp or a user namespace forbids Outpost " + purpose
	case 1:
	default:
		verb = " are missing "
	}
	return strings.Join(missing, " and ") + verb + purpose + ": " + strings.Join(cs.FlagsFor(required...), " ")
}

// FlagsFor returns the flags of docker run that give Outpost the capabilities that the set lacks. Only root gets capabilities by
// flags.
func (cs Capabilities) FlagsFor(required ...Capability) (flags []string) {
	for _, c := range required {
		if !cs.Has(c) {
			flags = append(flags, "--cap-add "+strings.TrimPrefix(c.String(), "CAP_"))
		}
	}
	if len(flags) > 0 && os.Geteuid() != 0 {
		flags = append([]string{"--user 0"}, flags...)
	}
	return flags
}

// parseCapabilities parses the line CapEff of /proc/<pid>/status (fs/proc/array.c, task_cap), a hexadecimal bit mask:
//
//	CapEff:	00000000a80425fb
func parseCapabilities(status string) (Capabilities, error) {
	for line := range strings.Lines(status) {
		digits, found := strings.CutPrefix(line, "CapEff:")
		if !found {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
		if err != nil {
			return 0, fmt.Errorf("CapEff of %q: %w", line, err)
		}
		return Capabilities(bits), nil
	}
	return 0, fmt.Errorf("no CapEff in %d bytes of status", len(status))
}
