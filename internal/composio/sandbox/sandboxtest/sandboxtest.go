// Package sandboxtest starts the sandbox for tests, behind a validator that
// holds every request and every response to the description of the API.
package sandboxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"gatehouse/internal/composio"
	"gatehouse/internal/composio/sandbox"
)

// A Server is a sandbox that listens on a loopback address.
type Server struct {
	*sandbox.Server
	URL string
}

// New starts a sandbox that ends with the test. The test fails if anything that
// is sent or answered doesn't fit the description; answers that are no JSON come
// from faults and don't count.
func New(t testing.TB, o sandbox.Options) *Server {
	t.Helper()
	s, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	v := newValidator(t)
	ts := httptest.NewServer(v.wrap(s))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		ts.Close()
		for _, complaint := range v.all() {
			t.Error(complaint)
		}
	})
	return &Server{s, ts.URL}
}

type validator struct {
	router     routers.Router
	mu         sync.Mutex
	complaints []string
}

func newValidator(t testing.TB) *validator {
	doc, err := openapi3.NewLoader().LoadFromData(composio.Description)
	if err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &validator{router: router}
}

func (v *validator) complain(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.complaints = append(v.complaints, fmt.Sprintf(format, args...))
}

func (v *validator) all() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.complaints
}

// wrap validates what passes. Control endpoints are not part of the API.
func (v *validator) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			v.complain("%s %s: %v", r.Method, r.URL.Path, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		in := v.request(r, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		if in != nil && !rec.hijacked && json.Valid(rec.body.Bytes()) {
			v.response(in, rec)
		}
	})
}

func (v *validator) request(r *http.Request, body []byte) *openapi3filter.RequestValidationInput {
	route, params, err := v.router.FindRoute(r)
	if err != nil {
		v.complain("%s %s is not in the description: %v", r.Method, r.URL.Path, err)
		return nil
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
		v.complain("request %s %s %.300s: %v", r.Method, r.URL, body, err)
	}
	return in
}

func (v *validator) response(in *openapi3filter.RequestValidationInput, rec *recorder) {
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: rec.status, Header: rec.Header(), Options: in.Options,
	}
	out.SetBodyBytes(rec.body.Bytes())
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		v.complain("response to %s %s: %d %.300s: %v", in.Request.Method, in.Request.URL, rec.status, rec.body.Bytes(), err)
	}
}

// recorder keeps a copy of what is answered.
type recorder struct {
	http.ResponseWriter
	status   int
	body     bytes.Buffer
	hijacked bool
}

// Unwrap lets [http.ResponseController] through; the sandbox hijacks connections
// that it lets die.
func (r *recorder) Unwrap() http.ResponseWriter {
	r.hijacked = true
	return r.ResponseWriter
}

// WriteHeader implements [http.ResponseWriter].
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}
