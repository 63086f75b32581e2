// Package problem holds the one error whose words readers see.
//
// A [problem.Error] says what happened and what to do next, in the reader's
// terms. Every other error is internal: it is logged, and the reader sees only
// a request id.
package problem

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// A Kind says what sort of refusal a problem is. It decides the HTTP status.
type Kind int

// The kinds, each with the status that internal/app answers.
const (
	Invalid     Kind = iota + 1 // 422: input with complaints
	SignIn                      // 401: nobody is signed in
	Forbidden                   // 403: the reader sees it but may not do it
	NotFound                    // 404: it does not exist, or the reader may not see it
	Gone                        // 410: it is kept elsewhere
	Conflict                    // 409: it changed, or was done already
	TooMany                     // 429: slow down
	Unavailable                 // 503: something we depend on is down
)

// An Error is a refusal in words meant for readers. It never holds a
// credential, a path, a statement or a remote body.
type Error struct {
	Kind    Kind
	Message string
	// Fields maps the name of a form field to the complaint about it.
	Fields map[string]string
	// RetryAfter is how long to wait before trying again, 0 if unknown.
	RetryAfter time.Duration

	cause error
}

// New makes a problem from a message in the manner of [fmt.Sprintf].
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// InvalidFields makes a problem of kind [Invalid] with a complaint per field.
func InvalidFields(message string, fields map[string]string) *Error {
	return &Error{Kind: Invalid, Message: message, Fields: fields}
}

// Join makes one problem of what several checks complained about: the message of the
// first, with the fields of all. An error that is no complaint about fields stands
// for all of them. Without any it returns nil.
func Join(errs ...error) error {
	var first *Error
	for _, err := range errs {
		if err == nil {
			continue
		}
		p := Of(err)
		if p == nil || p.Kind != Invalid {
			return err
		}
		if first == nil {
			c := *p
			c.Fields = map[string]string{}
			first = &c
		}
		maps.Copy(first.Fields, p.Fields)
	}
	if first == nil {
		return nil
	}
	return first
}

// Because returns a copy of e that wraps cause. Readers never see the cause;
// logs do.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error implements error with the words for readers.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the internal cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// Of returns the problem in err's chain, or nil.
func Of(err error) *Error {
	var p *Error
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// Is reports whether err is a problem of the given kind.
func Is(err error, kind Kind) bool {
	p := Of(err)
	return p != nil && p.Kind == kind
}
