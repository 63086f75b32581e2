package composio

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode"

	"gatehouse/internal/secret"
)

// withheld stands for a text of the remote's that quotes a credential in a form
// that can't be cut out of it.
const withheld = "(Composio's words quote a credential and are not kept.)"

// scrub takes the client's key and the credentials of a request out of the answer
// to it: a refusal may quote what was sent.
func (c *Client) scrub(e *Error, body any) *Error {
	values := append(credentials(body), c.key)
	for _, text := range []*string{&e.Message, &e.SuggestedFix} {
		*text = scrubText(*text, values)
	}
	for i := range e.FieldErrors {
		e.FieldErrors[i] = scrubText(e.FieldErrors[i], values)
	}
	for _, name := range []*string{&e.Slug, &e.RequestID} {
		if !nameLike.MatchString(*name) || quotes(*name, values) {
			*name = ""
		}
	}
	return e
}

// nameLike is what slugs of errors and request ids look like.
var nameLike = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// scrubText replaces credentials that stand in a text as they are or as JSON
// writes them, and withholds the text if a piece of one is left even so.
func scrubText(text string, values []secret.Value) string {
	var forms []string
	for _, v := range values {
		quoted, _ := json.Marshal(v.Reveal()) // a string always marshals
		plain, _ := marshalBody(v)            // as it was sent
		forms = append(forms, v.Reveal(), strings.Trim(string(quoted), `"`), strings.Trim(string(plain), "\"\n"), cleanText(v.Reveal()))
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) }) // so that no part of one is left
	for _, f := range forms {
		if f != "" {
			text = strings.ReplaceAll(text, f, "[secret]")
		}
	}
	if quotes(text, values) {
		return withheld
	}
	return text
}

// telling is how many letters and digits in a row give a credential away.
const telling = 8

// quotes reports whether a text has a piece of a credential in it, whatever its
// case and whatever stands between, or one in base 64.
func quotes(text string, values []secret.Value) bool {
	in := letters(text)
	for _, v := range values {
		for _, form := range []string{v.Reveal(), base64.StdEncoding.EncodeToString([]byte(v.Reveal()))} {
			piece := []rune(letters(form))
			for i := 0; i+telling <= len(piece); i++ {
				if strings.Contains(in, string(piece[i:i+telling])) {
					return true
				}
			}
		}
	}
	return false
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// credentials lists those in a body.
func credentials(v any) []secret.Value {
	var out []secret.Value
	switch v := v.(type) {
	case object:
		for _, e := range v {
			out = append(out, credentials(e)...)
		}
	case secret.Value:
		out = append(out, v)
	}
	return out
}

// errGarbled stands for errors of net/http that quote what the remote sent.
var errGarbled = errors.New("the answer is not HTTP as it should be")

// harmless returns the error of a failed call without what the remote sent and
// without the URL, which might hold anything.
func harmless(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	var timeout interface{ Timeout() bool }
	var unknown x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errBroken
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &record), errors.As(err, &alert):
		return errTLS
	}
	return errGarbled
}

// Why a call got no answer.
var (
	errTimeout = errors.New("time ran out")
	errBroken  = errors.New("the connection broke off")
	errTLS     = errors.New("the other side's certificate or TLS is not right")
)
