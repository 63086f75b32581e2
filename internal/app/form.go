package app

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// Limits on forms.
const (
	maxForm = 256 << 10 // bytes
	maxKeys = 200
)

// secretPrefix begins the name of every field that holds a credential. They are
// kept nowhere and never shown again.
const secretPrefix = "secret."

const keyCSRF = "csrf" // string: the masked token of the page

const keyForm = "form" // url.Values: what was sent, without the hidden fields

// newForm returns what a form needs that changes something.
func (s *Server) newForm(c echo.Context, action string) templates.FormView {
	f := templates.FormView{Action: templates.Local(action), Token: s.csrfToken(c)}
	if id := reader(c).ID; id != "" {
		f.OpID = s.newOpID(id, action)
	}
	return f
}

// newDraftForm is [Server.newForm] for a form that is kept while it is typed, as
// the draft of a page.
func (s *Server) newDraftForm(c echo.Context, action, page string) templates.FormView {
	f := s.newForm(c, action)
	f.Draft, f.DraftOp = page, s.newOpID(reader(c).ID, draftsPath)
	return f
}

// csrfToken is bound to the session's token and masked anew for each page, so
// that compressed pages don't give it away.
func (s *Server) csrfToken(c echo.Context) string {
	if token, ok := c.Get(keyCSRF).(string); ok {
		return token
	}
	token := s.boundToken(c)
	out := make([]byte, 2*len(token))
	_, _ = rand.Read(out[:len(token)]) // never fails (crypto/rand)
	subtle.XORBytes(out[len(token):], token, out[:len(token)])
	masked := base64.RawURLEncoding.EncodeToString(out)
	c.Set(keyCSRF, masked)
	return masked
}

func (s *Server) boundToken(c echo.Context) []byte {
	return s.keys.Digest([]byte("csrf\x00" + s.binding(c)))[:16]
}

// binding names the browser that asks: by its session, which may go on under
// another token, or before there is one by the token itself.
func (s *Server) binding(c echo.Context) string {
	if r := reader(c); r.Session != "" {
		return r.Session
	}
	if expired, ok := c.Get(keyExpired).(access.Session); ok {
		return expired.ID
	}
	token, _ := c.Get(keyToken).(string)
	return token
}

func (s *Server) csrfValid(c echo.Context, sent string) bool {
	want := s.boundToken(c)
	b, err := base64.RawURLEncoding.DecodeString(sent)
	if err != nil || len(b) != 2*len(want) {
		return false
	}
	got := make([]byte, len(want))
	subtle.XORBytes(got, b[:len(want)], b[len(want):])
	return hmac.Equal(got, want)
}

// opBytes is how long each half of an operation's id is: enough that none comes
// twice, and that none is guessed; each form of a page has one.
const opBytes = 9

// newOpID issues the id of one sending of a form, bound to a person and an action.
func (s *Server) newOpID(user, action string) string {
	nonce := make([]byte, opBytes)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	id := base64.RawURLEncoding.EncodeToString(nonce)
	return id + s.opSeal(id, user, action)
}

const opNonceLength = opBytes * 4 / 3 // characters

func (s *Server) opSeal(nonce, user, action string) string {
	return base64.RawURLEncoding.EncodeToString(s.keys.Digest([]byte("op\x00" + nonce + "\x00" + user + "\x00" + action))[:opBytes])
}

func (s *Server) opValid(id, user, action string) bool {
	if len(id) <= opNonceLength {
		return false
	}
	return hmac.Equal([]byte(id[opNonceLength:]), []byte(s.opSeal(id[:opNonceLength], user, action)))
}

// takeForm reads the form of an unsafe request and checks that it came from a
// page of ours and, where somebody has to be signed in, that it was made for
// them and comes for the first time.
func (s *Server) takeForm(needs access.Permission, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		form, err := s.readForm(c)
		if err != nil {
			return err
		}
		if len(form["csrf"]) > 1 || len(form["op"]) > 1 {
			return echo.NewHTTPError(http.StatusBadRequest)
		}
		token, op := form.Get("csrf"), form.Get("op")
		page := form.Get("draft")
		for _, name := range []string{"csrf", "op", "draft"} {
			form.Del(name)
		}
		if !s.csrfValid(c, token) {
			return problem.New(problem.Forbidden, "This form is too old or came from elsewhere. Nothing was changed. Open the page again and send it once more.")
		}
		who := reader(c)
		if needs == anyone {
			return next(c)
		}
		if !s.limits.write(who.ID) {
			return tooManyWrites()
		}
		path := c.Request().URL.Path
		if !s.opValid(op, who.ID, path) {
			return problem.New(problem.Forbidden, "This form is not one that was made for you. Nothing was changed. Open the page again and send it once more.")
		}
		ctx := c.Request().Context()
		sent := store.FormOp{ID: op, User: self(c), Session: who.Session, Digest: s.keys.Digest([]byte(path + "?" + form.Encode()))}
		if err := s.store.CheckFormOp(ctx, sent); err != nil {
			return err
		}
		ctx = store.WithFormOp(ctx, sent)
		c.SetRequest(c.Request().WithContext(ctx))
		if err := next(c); err != nil {
			return err
		}
		if location := c.Response().Header().Get("Location"); location != "" && store.FormOpUsed(ctx) {
			return s.store.FinishFormOp(ctx, sent, location, page)
		}
		return nil
	}
}

// readForm reads the form of a POST, once.
func (s *Server) readForm(c echo.Context) (url.Values, error) {
	if form, ok := c.Get(keyForm).(url.Values); ok {
		return form, nil
	}
	r := c.Request()
	if t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); t != "application/x-www-form-urlencoded" {
		return nil, echo.NewHTTPError(http.StatusUnsupportedMediaType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxForm))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, echo.NewHTTPError(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return nil, echo.NewHTTPError(http.StatusBadRequest)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form) > maxKeys {
		return nil, echo.NewHTTPError(http.StatusBadRequest)
	}
	c.Set(keyForm, form)
	return form, nil
}

// sent is what was typed into the form, as it came.
func sent(c echo.Context) url.Values {
	form, _ := c.Get(keyForm).(url.Values)
	return form
}

// decode reads the form into a struct whose fields say form:"name". Strings and
// booleans (boxes) come once, []string as often as wanted; a map takes all names
// that begin as its tag does before "*". Names that the struct doesn't have, and
// repeated ones, are refused.
func decode(c echo.Context, into any) error {
	return decodeValues(sent(c), into)
}

func decodeValues(form url.Values, into any) error {
	v := reflect.ValueOf(into).Elem()
	known := map[string]bool{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("form")
		if name == "" {
			continue // it isn't for the form to fill
		}
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			decodeMap(form, prefix, v.Field(i), known)
			continue
		}
		known[name] = true
		if !form.Has(name) {
			continue
		}
		if err := decodeField(name, form[name], v.Field(i)); err != nil {
			return err
		}
	}
	for name, values := range form {
		if !known[name] {
			return malformed("%.40q is not a field of this form", name)
		}
		if len(values) == 0 {
			return malformed("%q has no value", name)
		}
	}
	return nil
}

func decodeField(name string, values []string, to reflect.Value) error {
	if list, ok := to.Addr().Interface().(*[]string); ok {
		*list = values
		return nil
	}
	if len(values) != 1 {
		return malformed("%q came %d times", name, len(values))
	}
	switch to := to.Addr().Interface().(type) {
	case *string:
		*to = values[0]
	case *bool:
		*to = values[0] != ""
	case *secret.Value:
		*to = secret.New(values[0])
	default:
		return fmt.Errorf("form field %q has a type that can't be decoded", name)
	}
	return nil
}

func decodeMap(form url.Values, prefix string, to reflect.Value, known map[string]bool) {
	to.Set(reflect.MakeMap(to.Type()))
	for name, values := range form {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || len(values) != 1 {
			continue
		}
		known[name] = true
		var v any = values[0]
		if to.Type().Elem() == reflect.TypeFor[secret.Value]() {
			v = secret.New(values[0])
		}
		to.SetMapIndex(reflect.ValueOf(rest), reflect.ValueOf(v))
	}
}

func malformed(format string, args ...any) error {
	return problem.New(problem.Invalid, "The form could not be read: %s. Nothing was changed. Open the page again.", fmt.Sprintf(format, args...))
}

// complaintsView sums up what is wrong with a form. Labels translates field
// names; a field without a label stands by its complaint alone.
func complaintsView(err error, labels map[string]string) templates.ComplaintsView {
	p := problem.Of(err)
	if p == nil {
		return templates.ComplaintsView{}
	}
	v := templates.ComplaintsView{Message: p.Message}
	for _, name := range slices.Sorted(maps.Keys(p.Fields)) {
		text := p.Fields[name]
		if l := labels[name]; l != "" {
			text = l + ": " + text
		}
		v.Fields = append(v.Fields, templates.LinkView{Text: text, URL: templates.URL("#input-" + name)})
	}
	return v
}
