package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
)

// maxControlBody bounds what the control endpoints read.
const maxControlBody = 64 << 20

// control finds the handler of a request to /_sandbox/, nil for all others.
func (s *Server) control(r *http.Request) http.HandlerFunc {
	name, ok := strings.CutPrefix(r.URL.Path, "/_sandbox/")
	if !ok {
		return nil
	}
	handlers := map[string]http.HandlerFunc{
		"GET journal": s.getJournal,
		"GET faults":  s.getFaults,
		"POST faults": s.postFaults,
		"GET state":   s.getState,
		"POST state":  s.postState,
	}
	h := handlers[r.Method+" "+name]
	switch {
	case !local(r.RemoteAddr):
		return refuseControl(http.StatusForbidden, "the sandbox is controlled from its own machine only")
	case h == nil:
		return refuseControl(http.StatusNotFound, "there are GET journal, GET and POST faults, GET and POST state")
	case r.Method == http.MethodPost && !isJSON(r):
		// A page in a browser on this machine can't send this type unasked.
		return refuseControl(http.StatusUnsupportedMediaType, "want content type application/json")
	}
	return h
}

func refuseControl(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeControl(w, status, map[string]string{"error": message})
	}
}

func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(mustJSON(v), '\n')) // a client that went away is no trouble of ours
}

func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// readControl reads a body into v; unknown keys are mistakes.
func readControl(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		err = fmt.Errorf("more than one value")
	}
	writeControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	return false
}

func (s *Server) getJournal(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, s.Journal())
}

func (s *Server) getFaults(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, s.Faults())
}

// postFaults arms a list of faults in place of those armed before, so that []
// clears them. One that can't be understood leaves everything as it was.
func (s *Server) postFaults(w http.ResponseWriter, r *http.Request) {
	var faults []Fault
	if !readControl(w, r, &faults) {
		return
	}
	next := make([]*armed, len(faults))
	for i, f := range faults {
		if err := f.check(); err != nil {
			writeControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		f.Seen, f.Fired = 0, 0
		next[i] = &armed{Fault: f}
	}
	s.mu.Lock()
	s.faults = next
	s.mu.Unlock()
	s.getFaults(w, r)
}

func (s *Server) getState(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, s.State())
}

func (s *Server) postState(w http.ResponseWriter, r *http.Request) {
	var e Edit
	if !readControl(w, r, &e) {
		return
	}
	ids, err := s.Edit(e)
	if err != nil {
		writeControl(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeControl(w, http.StatusOK, ids)
}
