package graph

import "strings"

// MaxTextLen is the number of bytes that are kept of a text from a daemon.
const MaxTextLen = 256

// Truncate returns text, or its first MaxTextLen bytes and an ellipsis if it is longer.
func Truncate(text string) string {
	if len(text) <= MaxTextLen {
		return text
	}
	return strings.ToValidUTF8(text[:MaxTextLen], "") + "…"
}
