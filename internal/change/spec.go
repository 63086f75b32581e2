package change

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Limits on what is typed. Composio documents none; these keep pages usable.
const (
	maxName       = 200 // characters
	maxValue      = 2000
	maxScopes     = 500
	maxTools      = 1000
	maxCredential = 64 << 10 // bytes; service account files are about 2 kB
	maxReason     = 2000
)

// A Spec is the auth config that somebody wants: for a create the whole, for an
// update only what is to change. Fields are mirror's field names; those that
// hold lists may be typed with commas, spaces or lines between.
type Spec struct {
	Toolkit     string
	Scheme      string
	Managed     bool
	Fields      map[string]string // touched fields as typed; an empty text clears
	Credentials map[string]secret.Value
}

// field is how a typed field is read. It returns a complaint or "".
type field func(typed string) (value []string, complaint string)

var fields = map[string]field{
	mirror.FieldName:              readName,
	mirror.FieldScopes:            readScopes,
	mirror.FieldUserScopes:        readScopes,
	mirror.FieldClientID:          readLine,
	mirror.FieldConsumerKey:       readLine,
	mirror.FieldRedirectURI:       readURL,
	mirror.FieldTools:             readTools,
	mirror.FieldToolsForExecution: readTools,
	mirror.FieldProxyURL:          readURL,
	mirror.FieldToolRouter:        readFlag,
}

// managedFields are the fields that a config with Composio's own app has.
var managedFields = []string{
	mirror.FieldName, mirror.FieldScopes, mirror.FieldUserScopes, mirror.FieldTools,
	mirror.FieldToolsForExecution, mirror.FieldToolRouter,
}

// Editable reports whether a config has a field that can be changed.
func Editable(managed bool, name string) bool {
	return fields[name] != nil && (!managed || slices.Contains(managedFields, name))
}

// values reads what was typed. Complaints are by field.
func (s Spec) values(complaints map[string]string) mirror.Values {
	v := mirror.Values{}
	for name, typed := range s.Fields {
		if !Editable(s.Managed, name) {
			complaints[name] = "This field can't be set on this auth config."
			continue
		}
		value, complaint := fields[name](strings.TrimSpace(typed))
		if complaint != "" {
			complaints[name] = complaint
			continue
		}
		v[name] = value
	}
	return v
}

// checkCredentials tidies pasted credentials in place. Complaints are by field.
func (s Spec) checkCredentials(complaints map[string]string) {
	if s.Managed && len(s.Credentials) > 0 {
		for name := range s.Credentials {
			complaints[name] = "Composio's own app takes no credentials."
		}
		return
	}
	for name, v := range s.Credentials {
		text := strings.TrimSpace(v.Reveal())
		s.Credentials[name] = secret.New(text)
		switch {
		case !credentialName.MatchString(name) || composio.ReadableField(name):
			complaints[name] = "This is not the name of a credential."
		case text == "":
			complaints[name] = "Enter the value again. It was blank."
		case len(text) > maxCredential:
			complaints[name] = "This is too long. Use at most 64 kB."
		case secret.Masked(text):
			complaints[name] = "This is what Composio shows in place of the value. Paste the value itself."
		case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
			complaints[name] = "Paste the value as text."
		case text == strings.TrimSpace(s.Fields[mirror.FieldClientID]):
			complaints[name] = "This is the client id. Paste the secret that belongs to it."
		}
	}
}

var credentialName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// checkCreate reads a whole new config against its toolkit.
func (s Spec) checkCreate(t mirror.ToolkitDetail) (mirror.Values, error) {
	complaints := map[string]string{}
	if !t.Creatable() {
		return nil, problem.New(problem.Invalid, "%s needs no authentication, so it can't have an auth config. Its tools work without one.", t.Name)
	}
	if _, named := s.Fields[mirror.FieldName]; !named {
		complaints[mirror.FieldName] = "Enter a name."
	}
	v := s.values(complaints)
	s.checkCredentials(complaints)
	scheme, known := t.Scheme(s.Scheme)
	switch {
	case s.Managed && !slices.Contains(t.ManagedSchemes, s.Scheme):
		complaints["scheme"] = "Composio has no app of its own for this. Use your own credentials."
	case !s.Managed && (!known || s.Scheme == "NO_AUTH"):
		complaints["scheme"] = "Choose one of the schemes that the toolkit has."
	case !s.Managed:
		s.checkRequired(scheme, v, complaints)
	}
	return v, invalid(complaints)
}

func (s Spec) checkRequired(scheme mirror.Scheme, v mirror.Values, complaints map[string]string) {
	for _, f := range scheme.Fields {
		_, credential := s.Credentials[f.Name]
		if f.Required && !credential && len(v[f.Name]) == 0 && complaints[f.Name] == "" {
			complaints[f.Name] = f.Label + " is required."
		}
	}
}

// checkUpdate reads the touched fields of an existing config. What is live
// already is no change.
func (s Spec) checkUpdate(live mirror.AuthConfig) (mirror.Values, error) {
	complaints := map[string]string{}
	s.Managed = live.Managed
	v := s.values(complaints)
	s.checkCredentials(complaints)
	if err := invalid(complaints); err != nil {
		return nil, err
	}
	now := live.Values()
	for name, value := range v {
		if old, readable := now[name]; readable && mirror.SameValue(name, old, value) {
			delete(v, name)
		}
	}
	if len(v) == 0 && len(s.Credentials) == 0 {
		return nil, problem.New(problem.Invalid, "Nothing would change: everything you entered is so already.")
	}
	return v, nil
}

func invalid(complaints map[string]string) error {
	if len(complaints) == 0 {
		return nil
	}
	return problem.InvalidFields("Nothing was sent to Composio. Correct what is marked and send again.", complaints)
}

// checkReason tidies why somebody wants a change.
func checkReason(s string, needed bool) (string, error) {
	s = cleanText(s)
	switch {
	case s == "" && needed:
		return s, problem.InvalidFields("Nothing was changed.", map[string]string{"reason": "Say why, for those who review and audit it."})
	case utf8.RuneCountInString(s) > maxReason:
		return s, problem.InvalidFields("Nothing was changed.", map[string]string{"reason": fmt.Sprintf("Use at most %d characters.", maxReason)})
	}
	return s, nil
}

// CheckCreate complains about what can be judged of a new config before its
// credentials are there.
func (*Service) CheckCreate(t mirror.ToolkitDetail, spec Spec) error {
	_, err := spec.checkCreate(t)
	p := problem.Of(err)
	if p == nil || len(p.Fields) == 0 {
		return err
	}
	visible := map[string]string{}
	for name, complaint := range p.Fields {
		if fields[name] != nil || name == "scheme" {
			visible[name] = complaint
		}
	}
	return invalid(visible)
}

// CheckFields complains about touched fields of an existing config.
func (*Service) CheckFields(spec Spec) error {
	complaints := map[string]string{}
	spec.values(complaints)
	return invalid(complaints)
}
