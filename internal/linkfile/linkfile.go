// Package linkfile reads the file of OUTPOST_LINKS: the templates of links from a container to other programs.
package linkfile

import (
	"bytes"
	"sync"

	"github.com/rs/zerolog"

	"github.com/PabloL007/outpost/internal/graph"
	"github.com/PabloL007/outpost/internal/textfile"
)

// maxFile is the maximum length of a file in bytes.
const maxFile = 64 << 10

// File is a file with a template in each line. The file may change at any time. It is safe for concurrent use.
type File struct {
	path string
	log  zerolog.Logger

	mu     sync.Mutex
	text   []byte
	links  []graph.ContainerLink // of text
	reason string                // why the last read failed
}

// Open reads a file. The error names the file, and the line if one is invalid.
func Open(path string, log zerolog.Logger) (*File, error) {
	f := &File{path: path, log: log}
	return f, f.read()
}

// Links reads the file again and returns its templates. If that fails, they stay as they were, and the log has the reason once.
func (f *File) Links() []graph.ContainerLink {
	f.mu.Lock()
	defer f.mu.Unlock()
	reason := ""
	if err := f.read(); err != nil {
		reason = err.Error()
	}
	if reason != f.reason && reason != "" {
		f.log.Error().Str("reason", reason).Int("links", len(f.links)).Msg("Cannot read the file of links again")
	}
	f.reason = reason
	return f.links
}

// read reads the file and parses it if the text changed.
func (f *File) read() error {
	text, err := textfile.Read(f.path, maxFile)
	if err != nil || f.text != nil && bytes.Equal(text, f.text) {
		return err
	}
	links, err := parse(f.path, string(text))
	if err != nil {
		return err
	}
	f.text, f.links = text, links
	return nil
}
