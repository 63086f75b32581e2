package composio

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Codes of the error envelope that callers tell apart. They were seen on the
// live API between May and October 2026; the slug is empty in some answers and
// the code in others.
const (
	CodeMissingField  = 301   // Auth_Config_ValidationError
	CodeNoAuthToolkit = 303   // Auth_Config_NoAuthApp
	CodeNoManagedApp  = 306   // Auth_Config_DefaultAuthConfigNotFound
	CodeInvalidKey    = 801   // APIKey_InvalidAPIKey
	CodeNoPermission  = 812   // APIKey_InsufficientPermissions
	CodeInvalidInput  = 10400 // request schema validation
)

// An Error is an answer of the API that is not 2xx. Message and the rest are
// the remote's words, cleaned but untrusted; they may quote the input.
type Error struct {
	Status       int
	Code         int // 0 if absent
	Slug         string
	Message      string
	FieldErrors  []string
	SuggestedFix string
	RequestID    string
	RetryAfter   time.Duration // from the header, 0 if absent
}

// Error implements error. It leaves out the remote's words, which may quote
// what was sent.
func (e *Error) Error() string {
	s := "composio answered " + strconv.Itoa(e.Status)
	if e.Slug != "" {
		s += " " + e.Slug
	}
	if e.Code != 0 {
		s += " (code " + strconv.Itoa(e.Code) + ")"
	}
	if e.RequestID != "" {
		s += ", request " + e.RequestID
	}
	return s
}

// A TransportError means that no usable answer came: the network failed, time
// ran out, or the body of a 2xx couldn't be read.
type TransportError struct {
	Sent bool // a connection stood, so the request may have been carried out
	Err  error
}

// Error implements error.
func (e *TransportError) Error() string {
	if e.Sent {
		return "no usable answer from composio: " + e.Err.Error()
	}
	return "composio can't be reached: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// A MaskedValueError is returned instead of sending a value that Composio shows
// in place of a credential, or an empty credential.
type MaskedValueError struct{ Field string }

// Error implements error.
func (e *MaskedValueError) Error() string {
	return fmt.Sprintf("the value of %q is empty or masked and was not sent", e.Field)
}

// Definite reports whether err proves that a write had no effect: it was
// refused, or it never left.
func Definite(err error) bool { return Refused(err) || NotSent(err) }

// Refused reports whether the API said no for good.
func Refused(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// NotSent reports whether the call was not carried out but may be later: the
// rate limit, no connection, or a value this client refuses to send.
func NotSent(err error) bool {
	var te *TransportError
	if errors.As(err, &te) {
		return !te.Sent
	}
	var me *MaskedValueError
	if errors.As(err, &me) {
		return true
	}
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusTooManyRequests
}

// NotFound reports whether the API answered 404.
func NotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

// NoPermission reports whether the key lacks the permission for the call.
func NoPermission(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden
}

// decodeError accepts all shapes that were seen: the envelope with code and
// slug, the one with error_code, {"error": "text"}, a bare {"message": …} on
// 429, camelCase suggestedFix with a string code, and bodies that aren't JSON.
func decodeError(resp *http.Response, data []byte) *Error {
	e := &Error{
		Status:     resp.StatusCode,
		RequestID:  resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After")),
	}
	var top struct {
		Message string          `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(data, &top) == nil {
		e.Message = top.Message
		e.fill(top.Error)
	}
	if e.Message == "" {
		e.Message = http.StatusText(e.Status)
	}
	clean(e)
	return e
}

func (e *Error) fill(raw json.RawMessage) {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		e.Message = text
		return
	}
	var body struct {
		Message       string          `json:"message"`
		Code          json.RawMessage `json:"code"`
		ErrorCode     json.RawMessage `json:"error_code"`
		Slug          string          `json:"slug"`
		RequestID     string          `json:"request_id"`
		SuggestedFix  string          `json:"suggested_fix"`
		SuggestedFix2 string          `json:"suggestedFix"`
		Errors        json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return
	}
	if body.Message != "" {
		e.Message = body.Message
	}
	if body.RequestID != "" {
		e.RequestID = body.RequestID
	}
	e.Slug = body.Slug
	e.SuggestedFix = body.SuggestedFix + body.SuggestedFix2
	for _, raw := range []json.RawMessage{body.Code, body.ErrorCode} {
		var s string
		if n, err := strconv.Atoi(string(raw)); err == nil {
			e.Code = n
		} else if json.Unmarshal(raw, &s) == nil && e.Slug == "" {
			e.Slug = s
		}
	}
	_ = json.Unmarshal(body.Errors, &e.FieldErrors) // another shape is left out
}

func retryAfter(h string) time.Duration {
	if s, err := strconv.Atoi(strings.TrimSpace(h)); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}
