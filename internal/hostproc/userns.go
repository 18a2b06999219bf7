package hostproc

import (
	"os"
	"path/filepath"
	"strings"
)

// InUserNamespace reports whether Outpost's own process runs in another user namespace than the machine's first one. proc is
// a /proc that shows the process as self.
func InUserNamespace(proc string) bool {
	text, err := os.ReadFile(filepath.Join(proc, "self", "uid_map")) //nolint:gosec // the caller names its own /proc
	return err == nil && !isIdentityMap(string(text))
}

// isIdentityMap reports whether a map of user IDs (user_namespaces(7)) is that of the first user namespace:
//
//	0          0 4294967295
func isIdentityMap(text string) bool {
	fields := strings.Fields(text)
	return len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295"
}
