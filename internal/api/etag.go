package api

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// newETag returns a tag of the body and of the Outpost-Incomplete header. It is weak, because the body may be compressed or not.
func newETag(body []byte, incomplete string) string {
	hash := sha256.New()
	_, _ = hash.Write(body)
	_, _ = hash.Write([]byte(incomplete))
	return `W/"` + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:16]) + `"`
}

// matchesTag reports whether an If-None-Match header has tag, by the weak comparison of RFC 9110 section 13.1.2.
func matchesTag(ifNoneMatch []string, tag string) bool {
	for _, field := range ifNoneMatch {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}
