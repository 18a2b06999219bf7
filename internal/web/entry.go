package web

import (
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"strings"
)

// entryScript goes to the page below the address at which the browser is. A redirect by the server would need the prefix that a proxy
// may have removed from the path, because "map/" is another address below /outpost than below /outpost/.
const entryScript = `const to = new URL(location); to.pathname = to.pathname.replace(/\/*$/, "/map/"); location.replace(to);`

// Entry is the document at the root. It replaces itself by the page.
const Entry = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Outpost: who talks to whom</title>
  <script>` + entryScript + `</script>
</head>
<body>
  <noscript><p>The map needs JavaScript. The same data as a table is at v1/graph.csv below this address.</p></noscript>
</body>
</html>
`

// EntryPolicy returns the Content-Security-Policy of Entry, which allows its script alone.
func EntryPolicy() string {
	hash := sha256.Sum256([]byte(entryScript))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// WantsHTML reports whether an Accept header names text/html. Browsers send that, and programs do not.
func WantsHTML(accept []string) bool {
	for _, field := range accept {
		for media := range strings.SplitSeq(field, ",") {
			if name, parameters, err := mime.ParseMediaType(media); err == nil && name == "text/html" && parameters["q"] != "0" {
				return true
			}
		}
	}
	return false
}
