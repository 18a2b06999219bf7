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
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	switch {
	case c == nil:
		fail(w, http.StatusNotFound, "No such container: "+r.PathValue("id"))
		return
	case c.State != "" && c.State != "running":
		fail(w, http.StatusConflict, "Container "+c.ID+" is "+c.State)
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
		fail(w, x.CreateStatus, x.Message)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.options = append(e.options, options)
	id := fmt.Sprintf("exec%d", len(e.execs))
	e.execs[id] = x
	w.WriteHeader(http.StatusCreated)
	answer(w, map[string]string{"Id": id})
}

func (e *Engine) exec(r *http.Request) *exec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.execs[r.PathValue("id")]
}

func (e *Engine) execInspect(w http.ResponseWriter, r *http.Request) {
	x := e.exec(r)
	if x == nil {
		fail(w, http.StatusNotFound, "No such exec instance")
		return
	}
	answer(w, map[string]any{"ExitCode": x.Code, "Running": false})
}

func (e *Engine) execStart(w http.ResponseWriter, r *http.Request) {
	x := e.exec(r)
	if x == nil {
		fail(w, http.StatusNotFound, "No such exec instance")
		return
	}
	e.mu.Lock()
	x.started = true
	e.running++
	e.mostAtOnce = max(e.mostAtOnce, e.running)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.running--
	}()
	if x.StartStatus != 0 {
		fail(w, x.StartStatus, x.Message)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)                // closing a connection with unread bytes would reset it
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
		_, _ = buffered.Write(frames(1, x.Stdout))
		_, _ = buffered.Write(frames(2, x.Stderr))
	}
	_ = buffered.Flush()
}

// frames returns text as the engine sends it on a stream (1 output, 2 errors), in frames of at most 32 KiB.
func frames(stream byte, text string) []byte {
	var sent []byte
	for text != "" {
		chunk := text[:min(len(text), 32<<10)]
		text = text[len(chunk):]
		sent = append(sent, stream, 0, 0, 0)
		sent = binary.BigEndian.AppendUint32(sent, uint32(len(chunk)))
		sent = append(sent, chunk...)
	}
	return sent
}
