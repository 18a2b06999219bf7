package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/PabloL007/outpost/internal/container"
)

// statusOf is the one place where an error becomes a status and words for a client; the rest is for the log.
func statusOf(err error) (status int, reason string) {
	if wrong, ok := errors.AsType[badRequestError](err); ok {
		return http.StatusBadRequest, wrong.Error()
	}
	switch {
	case errors.Is(err, container.ErrUnreachable):
		return http.StatusServiceUnavailable, "the container engine cannot be reached"
	case errors.Is(err, container.ErrForbidden):
		return http.StatusServiceUnavailable, "the container engine does not permit listing containers"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "the container engine does not answer in time"
	}
	return http.StatusServiceUnavailable, "the container engine cannot be asked for its containers"
}

type errorBody struct {
	Error string `json:"error"`
}

func (h *handler) fail(w http.ResponseWriter, err error) {
	status, reason := statusOf(err)
	h.Log.Debug().Err(err).Int("status", status).Msg("Request failed")
	h.json(w, status, errorBody{reason})
}

func (h *handler) notFound(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path+"/" == pagePath { // as people type it
		toPage(w, r)
		return
	}
	h.json(w, http.StatusNotFound, errorBody{"no such path; see /openapi.json"})
}

// methodNotAllowed names in Allow the methods that routes has for the path.
func (h *handler) methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if !routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
				continue
			}
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		h.json(w, http.StatusMethodNotAllowed, errorBody{"the method is not allowed here"})
	}
}

// recoverer answers 500 where a handler panics; the server by itself would break the connection off.
func (h *handler) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason) // the server's own way to break off an answer
			default:
				h.Log.Error().Interface("panic", reason).Bytes("stack", debug.Stack()).Msg("Request failed")
				h.json(w, http.StatusInternalServerError, errorBody{"internal error"})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (h *handler) json(w http.ResponseWriter, status int, document any) {
	if body, ok := h.encode(w, document); ok {
		h.write(w, status, typeJSON, body)
	}
}

// encode answers 500 itself where a document cannot be encoded.
func (h *handler) encode(w http.ResponseWriter, document any) (body []byte, ok bool) {
	body, err := json.Marshal(document)
	if err != nil {
		h.broken(w, err)
	}
	return append(body, '\n'), err == nil
}

// broken answers that an answer cannot be written.
func (h *handler) broken(w http.ResponseWriter, err error) {
	h.Log.Error().Err(err).Msg("Encoding an answer failed")
	h.write(w, http.StatusInternalServerError, typeJSON, []byte(`{"error":"internal error"}`+"\n"))
}

func (h *handler) write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Add("Vary", "Accept-Encoding") // also where it is not compressed
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil { //nolint:gosec // no browser takes it for anything else than it is said to be
		h.Log.Debug().Err(err).Msg("The client went away")
	}
}
