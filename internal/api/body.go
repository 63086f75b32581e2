package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Limits on what is sent.
const (
	maxBody    = 256 << 10 // bytes
	maxMembers = 200
)

// readBody reads a JSON body.
func readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if t, _, err := mime.ParseMediaType(r.Header.Get(echo.HeaderContentType)); err != nil || t != echo.MIMEApplicationJSON {
		return nil, echo.NewHTTPError(http.StatusUnsupportedMediaType, "Send the body as application/json.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxBody))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, echo.NewHTTPError(http.StatusRequestEntityTooLarge, "The body is too large: at most 256 kB. Nothing was changed.")
	}
	if err != nil || !utf8.Valid(body) {
		return nil, unreadable()
	}
	return body, nil
}

func unreadable() error {
	return echo.NewHTTPError(http.StatusBadRequest, "The body is not one JSON object in UTF-8, or names a member twice. Nothing was changed.")
}

// A members is a JSON object that is read strictly: what isn't taken is refused.
type members struct {
	values     map[string]json.RawMessage
	complaints map[string]string
	taken      []string
	prefix     string // before names in complaints
}

// readObject reads an object. Names differ by case, and none may come twice.
func readObject(body []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, unreadable()
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil || len(out) >= maxMembers {
			return nil, unreadable()
		}
		key, _ := name.(string) // of an object, it always is one
		if _, twice := out[key]; twice {
			return nil, unreadable()
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, unreadable()
		}
		out[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, unreadable()
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable()
	}
	return out, nil
}

func newMembers(body []byte) (*members, error) {
	values, err := readObject(body)
	return &members{values: values, complaints: map[string]string{}}, err
}

// take decodes a member and reports whether it is there and as it should be.
func take[T any](m *members, name, what string) (v T, ok bool) {
	m.taken = append(m.taken, name)
	raw, there := m.values[name]
	if !there {
		return v, false
	}
	if string(raw) == "null" || json.Unmarshal(raw, &v) != nil {
		m.complaints[m.prefix+name] = "Give " + what + "."
		return v, false
	}
	return v, true
}

func (m *members) text(name string) string {
	v, _ := take[string](m, name, "a text")
	return v
}

func (m *members) flag(name string) bool {
	v, _ := take[bool](m, name, "true or false")
	return v
}

func (m *members) number(name string) (int64, bool) { return take[int64](m, name, "a whole number") }

func (m *members) texts(name string) []string {
	v, _ := take[[]string](m, name, "a list of texts")
	return v
}

// object reads a member that is an object of its own; nil if it isn't there.
func (m *members) object(name string) (*members, error) {
	m.taken = append(m.taken, name)
	raw, there := m.values[name]
	if !there {
		return nil, nil //nolint:nilnil // not there is not wrong
	}
	if raw[0] != '{' {
		m.complaints[name] = "Give an object."
		return nil, nil //nolint:nilnil // as above
	}
	values, err := readObject(raw)
	return &members{values: values, complaints: m.complaints, prefix: name + "."}, err
}

// typed are the fields of an auth config as somebody would type them: a text, true
// or false, or a list of texts.
func (m *members) typed() map[string]string {
	out := map[string]string{}
	if m == nil {
		return out
	}
	for name, raw := range m.values {
		var text string
		var flag bool
		var list []string
		switch {
		case raw[0] == '"' && json.Unmarshal(raw, &text) == nil:
			out[name] = text
		case json.Unmarshal(raw, &flag) == nil && string(raw) != "null":
			out[name] = string(raw)
		case raw[0] == '[' && json.Unmarshal(raw, &list) == nil && !slices.ContainsFunc(list, splits):
			out[name] = strings.Join(list, "\n")
		default:
			m.complaints[m.prefix+name] = "Give a text, true or false, or a list of texts without commas, blanks and line breaks."
		}
	}
	return out
}

// splits reports whether a text would be taken for several in a list.
func splits(s string) bool { return s == "" || strings.ContainsAny(s, ", \t\r\n") }

// secrets are credentials by name.
func (m *members) secrets() map[string]secret.Value {
	out := map[string]secret.Value{}
	if m == nil {
		return out
	}
	for name, raw := range m.values {
		var text string
		if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
			m.complaints[m.prefix+name] = "Give the value as a text."
			continue
		}
		out[name] = secret.New(text)
	}
	return out
}

// done complains about what was wrong, and about members that nobody took.
func (m *members) done() error {
	for name := range m.values {
		if !slices.Contains(m.taken, name) {
			m.complaints[short(name)] = "There is no such member here."
		}
	}
	if len(m.complaints) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was changed. Correct what is named and send it again.", m.complaints)
}

func short(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return name
}
