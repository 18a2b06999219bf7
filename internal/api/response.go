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

// toStatus is the only mapping of errors to a status and a reason for the client. The log has the details.
func toStatus(err error) (status int, reason string) {
	if bad, ok := errors.AsType[badRequestError](err); ok {
		return http.StatusBadRequest, bad.Error()
	}
	switch {
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, errBusy.Error()
	case errors.Is(err, container.ErrUnreachable) && container.RemedyOf(err) != "":
		return http.StatusServiceUnavailable, "the socket of the container engine denies access to Outpost"
	case errors.Is(err, container.ErrUnreachable):
		return http.StatusServiceUnavailable, "the container engine cannot be reached"
	case errors.Is(err, container.ErrForbidden):
		return http.StatusServiceUnavailable, "the container engine does not permit listing containers"
	case errors.Is(err, container.ErrUnauthorized):
		return http.StatusServiceUnavailable, "the container engine does not accept Outpost's credentials"
	case errors.Is(err, container.ErrAPIVersion):
		return http.StatusServiceUnavailable, "the container engine and Outpost have no API version in common"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "the container engine does not answer in time"
	}
	return http.StatusServiceUnavailable, "the container engine cannot be asked for its containers"
}

var errBusy = errors.New("too many large answers at once for the memory limit: ask again, or raise the limit")

type errorBody struct {
	Error string `json:"error"`
}

func (h *handler) writeError(w http.ResponseWriter, err error) {
	status, reason := toStatus(err)
	h.Log.Debug().Err(err).Int("status", status).Msg("Request failed")
	if remedy := container.RemedyOf(err); remedy != "" {
		reason += ": " + remedy
	}
	h.writeJSON(w, status, errorBody{reason})
}

func (h *handler) notFound(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path+"/" == pagePath { // typed without the slash
		redirectToPage(w, r)
		return
	}
	h.writeJSON(w, http.StatusNotFound, errorBody{"no such path; see /openapi.json"})
}

// methodNotAllowed responds 405. Allow has the methods that routes has for the path.
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
		h.writeJSON(w, http.StatusMethodNotAllowed, errorBody{"the method is not allowed here"})
	}
}

// recoverer responds 500 if a handler panics. Without it, the server closes the connection.
func (h *handler) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason) // the documented way to abort a response
			default:
				h.Log.Error().Interface("panic", reason).Bytes("stack", debug.Stack()).Msg("Request failed")
				h.writeJSON(w, http.StatusInternalServerError, errorBody{"internal error"})
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (h *handler) writeJSON(w http.ResponseWriter, status int, document any) {
	if body, ok := h.encode(w, document); ok {
		h.write(w, status, typeJSON, body)
	}
}

// encode returns document as JSON. If that fails, it responds 500 itself.
func (h *handler) encode(w http.ResponseWriter, document any) (body []byte, ok bool) {
	body, err := json.Marshal(document)
	if err != nil {
		h.writeEncodingError(w, err)
	}
	return append(body, '\n'), err == nil
}

// writeEncodingError responds 500 because the document cannot be encoded.
func (h *handler) writeEncodingError(w http.ResponseWriter, err error) {
	h.Log.Error().Err(err).Msg("Encoding the response failed")
	h.write(w, http.StatusInternalServerError, typeJSON, []byte(`{"error":"internal error"}`+"\n"))
}

// writeConditional responds with body, or with 304 if the client already has the version with this tag.
func (h *handler) writeConditional(w http.ResponseWriter, r *http.Request, contentType string, body []byte, tag string) {
	w.Header().Set("Cache-Control", "no-cache") // revalidate each time with the ETag
	w.Header().Set("ETag", tag)
	if matchesTag(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.write(w, http.StatusOK, contentType, body)
}

func (h *handler) write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Add("Vary", "Accept-Encoding") // also for uncompressed responses
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil { //nolint:gosec // Content-Type is set, so no browser takes text for HTML
		h.Log.Debug().Err(err).Msg("The client closed the connection")
	}
}
