package enginetest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

func (e *Engine) execCreate(w http.ResponseWriter, r *http.Request) {
	c := e.find(r.PathValue("id"))
	var options ExecOptions
	if err := json.NewDecoder(r.Body).Decode(&options); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	switch {
	case c == nil:
		writeError(w, http.StatusNotFound, "No such container: "+r.PathValue("id"))
		return
	case c.State != "" && c.State != "running":
		writeError(w, http.StatusConflict, "Container "+c.ID+" is "+c.State)
		return
	}
	x := &exec{}
	if c.Exec != nil {
		x.Exec = c.Exec(options.Cmd)
	}
	if x.BeforeCreate != nil {
		x.BeforeCreate()
	}
	if x.CreateStatus != 0 {
		writeError(w, x.CreateStatus, x.Message)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.options = append(e.options, options)
	id := fmt.Sprintf("exec%d", len(e.execs))
	e.execs[id] = x
	w.WriteHeader(http.StatusCreated)
	writeJSON(w, map[string]string{"Id": id})
}

func (e *Engine) exec(r *http.Request) *exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.execs[r.PathValue("id")]
}

func (e *Engine) execInspect(w http.ResponseWriter, r *http.Request) {
	x := e.exec(r)
	if x == nil {
		writeError(w, http.StatusNotFound, "No such exec instance")
		return
	}
	writeJSON(w, map[string]any{"ExitCode": x.Code, "Running": false})
}

func (e *Engine) execStart(w http.ResponseWriter, r *http.Request) {
	x := e.exec(r)
	if x == nil {
		writeError(w, http.StatusNotFound, "No such exec instance")
		return
	}
	e.mu.Lock()
	x.started = true
	e.running++
	e.maxRunning = max(e.maxRunning, e.running)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.running--
	}()
	if x.StartStatus != 0 {
		writeError(w, x.StartStatus, x.Message)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)                // closing a connection with unread bytes resets it
	conn, buffered, err := w.(http.Hijacker).Hijack() //nolint:errcheck // the server's own writer
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = buffered.WriteString("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	_ = buffered.Flush()
	if x.Hangs != nil {
		select {
		case <-x.Hangs:
		case <-e.closed:
		}
	}
	if x.Raw != nil {
		_, _ = buffered.Write(x.Raw)
	} else {
		_, _ = buffered.Write(toFrames(1, x.Stdout))
		_, _ = buffered.Write(toFrames(2, x.Stderr))
	}
	_ = buffered.Flush()
}

// toFrames encodes text as the engine sends it on a stream (1 stdout, 2 stderr), in frames of at most 32 KiB.
func toFrames(stream byte, text string) []byte {
	var frames []byte
	for text != "" {
		chunk := text[:min(len(text), 32<<10)]
		text = text[len(chunk):]
		frames = append(frames, stream, 0, 0, 0)
		frames = binary.BigEndian.AppendUint32(frames, uint32(len(chunk)))
		frames = append(frames, chunk...)
	}
	return frames
}
