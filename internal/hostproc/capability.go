package hostproc

import (
	"fmt"
	"strconv"
	"strings"
)

// Capability is one of capabilities(7), by its number in include/uapi/linux/capability.h.
type Capability uint

// The capabilities that reading the host's /proc may take.
const (
	DACReadSearch Capability = 2
	SysPtrace     Capability = 19
	SysAdmin      Capability = 21
)

func (c Capability) String() string {
	switch c {
	case DACReadSearch:
		return "CAP_DAC_READ_SEARCH"
	case SysPtrace:
		return "CAP_SYS_PTRACE"
	case SysAdmin:
		return "CAP_SYS_ADMIN"
	}
	return fmt.Sprintf("capability %d", uint(c))
}

// Capabilities are those that a process has in effect, a bit for each. There may be none.
type Capabilities uint64

// Has reports whether c is among them.
func (cs Capabilities) Has(c Capability) bool { return cs>>c&1 == 1 }

// Lack says why what takes all of needed is not permitted: which of them are missing or, if none is, what else may
// forbid it.
func (cs Capabilities) ExplainDenial(needed ...Capability) string {
	var missing []string
	for _, c := range needed {
		if !cs.Has(c) {
			missing = append(missing, c.String())
		}
	}
	switch len(missing) {
	case 0:
		return "the capabilities do not help here, AppArmor, another security module or a user namespace forbids it,"
	case 1:
		return missing[0] + " is missing"
	}
	return strings.Join(missing, " and ") + " are missing"
}

// decodeCapabilities reads the line CapEff of /proc/<pid>/status (fs/proc/array.c, task_cap):
//
//	CapEff:	00000000a80425fb
func decodeCapabilities(status string) (Capabilities, error) {
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
	return 0, fmt.Errorf("no CapEff among %d bytes of status", len(status))
}
