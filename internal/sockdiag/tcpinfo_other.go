//go:build !linux

package sockdiag

import "github.com/PabloL007/outpost/internal/socket"

// decodeTCPInfo returns nil: only Linux has inet_diag.
func decodeTCPInfo([]byte) *socket.TCPInfo { return nil }

func decodeDialledBy([]byte, uint64) socket.End { return socket.UnknownEnd }
