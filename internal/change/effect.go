package change

import (
	"maps"
	"slices"
	"strconv"

	"gatehouse/internal/audit"
	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
)

func newMarker() string { return secret.Code(8) }

// sentName is the name that a create is sent with.
func (it Item) sentName() string {
	name := it.Set[mirror.FieldName][0]
	if it.Marker == "" {
		return name
	}
	return name + mirror.MarkerPrefix + it.Marker
}

// ClaimTarget names what no two requests may work on at once.
func (it Item) ClaimTarget(request string) string {
	switch {
	case it.Operation != Create:
		return it.Target
	case it.Marker == "":
		return "create:" + request
	}
	return "create:" + it.Marker
}

// effectHash is the SHA-256 over the canonical JSON of what a revision does. A
// vote names it, so that it counts for this and nothing else. The marker is part
// of it: what is approved is what is sent.
func effectHash(project string, items []Item) (string, error) {
	type effect struct {
		Project      string            `json:"project"`
		Kind         Kind              `json:"kind"`
		Target       string            `json:"target"`
		Operation    Operation         `json:"operation"`
		Toolkit      string            `json:"toolkit"`
		Scheme       string            `json:"scheme"`
		Managed      string            `json:"managed"`
		New          mirror.Values     `json:"new"`
		Base         mirror.Values     `json:"base"`
		Fingerprints map[string]string `json:"fingerprints"`
		Marker       string            `json:"marker"`
		ScopeForm    string            `json:"scope_form"` // how scopes are written
		Revoke       string            `json:"revoke"`
	}
	var all []effect
	for _, it := range items {
		e := effect{
			Project: project, Kind: it.Kind, Target: it.Target, Operation: it.Operation, Toolkit: it.Toolkit, Scheme: it.Scheme,
			Managed: strconv.FormatBool(it.Managed), New: it.Set, Base: it.Base, Fingerprints: map[string]string{},
			Marker: it.Marker, ScopeForm: string(it.ScopeForm), Revoke: strconv.FormatBool(it.Revoke),
		}
		for _, c := range it.Credentials {
			e.Fingerprints[c.Field] = c.Fingerprint
		}
		all = append(all, e)
	}
	return audit.Digest(all)
}

// wholeObject reports whether an operation relies on every field of its config,
// not only on those it touches: a delete, a disable, and a list that is replaced.
func (it Item) wholeObject() bool {
	switch it.Operation {
	case Delete, Disable:
		return true
	case Update:
		return slices.ContainsFunc(slices.Collect(maps.Keys(it.Set)), mirror.ListField)
	}
	return false
}

// rebase makes the live values what the item relies on.
func (it *Item) rebase(live mirror.AuthConfig) {
	values := live.Values()
	switch {
	case it.Operation == Create:
		it.Base = mirror.Values{}
	case it.wholeObject():
		it.Base = values
	default:
		it.Base = values.Pick(slices.Collect(maps.Keys(it.Set))...)
	}
	it.Name, it.Toolkit, it.Scheme, it.Managed = live.Name, live.Toolkit, live.Scheme, live.Managed
}

// intended are the readable values that the config shall have afterwards.
func (it Item) intended() mirror.Values {
	switch it.Operation {
	case Enable:
		return mirror.Values{mirror.FieldStatus: {mirror.Enabled}}
	case Disable:
		return mirror.Values{mirror.FieldStatus: {mirror.Disabled}}
	}
	v := maps.Clone(it.Set)
	if it.Operation == Create {
		// A create says nothing about these, or the API derives them itself.
		v = v.Pick(mirror.FieldName, mirror.FieldClientID, mirror.FieldConsumerKey, mirror.FieldTools)
	}
	return v
}

// achieved reports whether a config is as an operation wants it. Fields that
// Composio hides can't speak against it.
func (it Item) achieved(live mirror.AuthConfig) bool {
	values := live.Values()
	for name, want := range it.intended() {
		if got, readable := values[name]; readable && !mirror.SameValue(name, got, want) {
			return false
		}
	}
	return true
}

// unchanged reports whether a config still is what the item relies on.
func (it Item) unchanged(live mirror.AuthConfig) bool {
	return len(it.Base.Differences(live.Values())) == 0
}

// provable reports whether a look at the config can tell if the operation took
// effect. A new credential can't be seen, nor a field that Composio hides.
func (it Item) provable(live mirror.AuthConfig) bool {
	want := it.intended()
	return len(it.Credentials) == 0 && len(live.Values().Pick(slices.Collect(maps.Keys(want))...)) == len(want)
}

func (it Item) create(credentials map[string]secret.Value) composio.CreateAuthConfig {
	o := composio.CreateAuthConfig{
		Toolkit: it.Toolkit, Type: composio.Custom, Name: it.sentName(), AuthScheme: it.Scheme,
		Credentials: map[string]secret.Value{}, RestrictToTools: it.Set[mirror.FieldTools],
		Scopes: it.scopes(mirror.FieldScopes), UserScopes: it.scopes(mirror.FieldUserScopes),
		EnabledForToolRouter: it.flag(mirror.FieldToolRouter),
	}
	if it.Managed {
		o.Type = composio.Managed
		return o
	}
	maps.Copy(o.Credentials, credentials)
	it.addReadable(o.Credentials)
	o.Proxy = it.proxy(credentials)
	delete(o.Credentials, proxyKey)
	return o
}

func (it Item) update(credentials map[string]secret.Value) composio.UpdateAuthConfig {
	o := composio.UpdateAuthConfig{
		Type: composio.Custom, Credentials: map[string]secret.Value{},
		Scopes: it.scopes(mirror.FieldScopes), UserScopes: it.scopes(mirror.FieldUserScopes),
		RestrictToTools: it.list(mirror.FieldTools), ToolsForExecution: it.list(mirror.FieldToolsForExecution),
		EnabledForToolRouter: it.flag(mirror.FieldToolRouter),
	}
	if name, ok := it.Set[mirror.FieldName]; ok {
		o.Name = &name[0]
	}
	if it.Managed {
		o.Type = composio.Managed
		return o
	}
	maps.Copy(o.Credentials, credentials)
	it.addReadable(o.Credentials)
	o.Proxy = it.proxy(credentials)
	delete(o.Credentials, proxyKey)
	return o
}

// proxyKey is the credential that belongs to the proxy, not to the toolkit.
const proxyKey = "proxy_auth_key"

func (it Item) proxy(credentials map[string]secret.Value) *composio.Proxy {
	v, ok := it.Set[mirror.FieldProxyURL]
	switch {
	case !ok:
		return nil
	case len(v) == 0:
		return &composio.Proxy{}
	}
	return &composio.Proxy{URL: v[0], AuthKey: credentials[proxyKey]}
}

func (it Item) addReadable(to map[string]secret.Value) {
	for _, name := range []string{mirror.FieldClientID, mirror.FieldConsumerKey, mirror.FieldRedirectURI} {
		if v := it.Set[name]; len(v) > 0 {
			to[name] = secret.New(v[0])
		}
	}
}

func (it Item) scopes(name string) *composio.Scopes {
	v, ok := it.Set[name]
	if !ok {
		return nil
	}
	return &composio.Scopes{Values: v, Form: it.ScopeForm}
}

func (it Item) list(name string) *[]string {
	v, ok := it.Set[name]
	if !ok {
		return nil
	}
	return &v
}

func (it Item) flag(name string) *bool {
	v, ok := it.Set[name]
	if !ok || len(v) == 0 {
		return nil
	}
	b := v[0] == "true"
	return &b
}

// digest names the body of a step without its credentials.
func (it Item) digest(step Step) (string, error) {
	var body []byte
	var err error
	hidden := map[string]secret.Value{}
	for _, c := range it.Credentials {
		hidden[c.Field] = secret.New("not looked at")
	}
	switch {
	case step == StepRename:
		body, err = it.rename().Body()
	case it.Operation == Create:
		body, err = it.create(hidden).Body()
	case it.Operation == Update:
		body, err = it.update(hidden).Body()
	}
	if err != nil {
		return "", err
	}
	return digestBody(body)
}

// rename takes the marker off.
func (it Item) rename() composio.UpdateAuthConfig {
	o := composio.UpdateAuthConfig{Type: composio.Custom, Name: &it.Set[mirror.FieldName][0]}
	if it.Managed {
		o.Type = composio.Managed
	}
	return o
}
