package signon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/signon"
	"gatehouse/internal/signon/signontest"
)

const public = "https://gatehouse.example.com"

// A door is a service for one provider, with a clock of its own.
type door struct {
	t       *testing.T
	op      *signontest.Provider
	service *signon.Service
	mu      sync.Mutex
	later   time.Duration
	told    []string
}

func settings(op *signontest.Provider) signon.Setting {
	return signon.Setting{
		ID: "corp", Name: "Corp", Issuer: op.URL, ClientID: signontest.Client, Secret: secret.New(signontest.Secret), AllowHTTP: true,
		Scopes: []string{"openid"}, Hosts: []string{strings.TrimPrefix(op.URL, "http://")}, GroupsClaim: "groups",
		SecondFactor: signon.SecondFactor{AMR: []string{"mfa"}, ACR: []string{"high"}},
	}
}

func newDoor(t *testing.T, change func(*signon.Setting)) *door {
	t.Helper()
	d := &door{t: t, op: signontest.New(t)}
	keys, err := secret.NewKeyring([]byte(strings.Repeat("k", secret.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	one := settings(d.op)
	if change != nil {
		change(&one)
	}
	d.service = signon.NewService([]signon.Setting{one}, keys, public, d.now, func(_ context.Context, id string, cause error) {
		d.told = append(d.told, fmt.Sprint(id, " ", cause == nil))
	})
	return d
}

func (d *door) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.later)
}

func (d *door) wait(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.later += by
}

// leave begins a trip and goes to the provider, which sends the browser back.
func (d *door) leave(trip signon.Trip) (cookie string, back url.Values) {
	d.t.Helper()
	address, cookie, err := d.service.Depart(d.t.Context(), "corp", trip)
	if err != nil {
		d.t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, address.String(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil || !strings.HasPrefix(to.String(), public+signon.Path("corp")+"?") {
		d.t.Fatalf("sent to %v, %v", to, err)
	}
	return cookie, to.Query()
}

func (d *door) arrive(cookie string, back url.Values) (signon.Arrival, error) {
	return d.service.Arrive(d.t.Context(), "corp", cookie, back)
}

func (d *door) signIn() (signon.Arrival, error) {
	d.t.Helper()
	return d.arrive(d.leave(signon.Trip{Purpose: signon.SignIn, Next: "/changes"}))
}

func TestSignIn(t *testing.T) {
	d := newDoor(t, nil)
	d.op.Person(map[string]any{"groups": []any{"b", "a", "b", 7, ""}, "amr": []string{"pwd", "mfa"}})
	a, err := d.signIn()
	if err != nil {
		t.Fatal(err)
	}
	if a.Purpose != signon.SignIn || a.Next != "/changes" || a.Issuer != d.op.URL || a.Subject != "subject-1" || a.Provider != "corp" ||
		a.Name != "Olga Oidc" || a.Email != "olga@example.com" || !a.Verified || !a.Strong || a.ProvedAt.IsZero() || !slices.Equal(a.Groups.IDs, []string{"a", "b"}) {
		t.Errorf("%+v %+v", a, a.Groups)
	}
	asked := d.op.Asked()
	if asked.Get("code_challenge_method") != "S256" || asked.Get("redirect_uri") != public+"/signin/oidc/corp/callback" || asked.Has("prompt") ||
		len(asked.Get("state")) < 40 || len(asked.Get("nonce")) < 40 || asked.Get("state") == asked.Get("nonce") {
		t.Errorf("asked with %v", asked)
	}
	if n := d.op.Visits("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the description was read %d times", n)
	}
}

// Where a provider calls people otherwise to each of its clients, another claim that
// never changes tells who they are. Without it nobody is.
func TestSubjectClaim(t *testing.T) {
	d := newDoor(t, func(s *signon.Setting) { s.SubjectClaim = "oid" })
	d.op.Person(map[string]any{"oid": "object-7"})
	if a, err := d.signIn(); err != nil || a.Subject != "object-7" {
		t.Errorf("%+v %v", a, err)
	}
	for _, bad := range []any{nil, "", 7, "a\nb"} {
		d.op.Person(map[string]any{"oid": bad})
		if _, err := d.signIn(); signon.Check(err) != "subject" {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Each thing that a provider may say wrongly is refused, by its own name.
func TestRefused(t *testing.T) {
	now := time.Now().Unix()
	claims := func(pairs ...any) signontest.Lies {
		l := signontest.Lies{Claims: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			l.Claims[pairs[i].(string)] = pairs[i+1]
		}
		return l
	}
	for name, one := range map[string]struct {
		lies signontest.Lies
		want string
	}{
		"another issuer":             {claims("iss", "https://evil.example"), "issuer"},
		"no issuer":                  {claims("iss", nil), "issuer"},
		"another audience":           {claims("aud", "somebody-else"), "audience"},
		"no audience":                {claims("aud", nil), "audience"},
		"audiences without a party":  {claims("aud", []string{signontest.Client, "b"}), "authorized_party"},
		"another party":              {claims("azp", "b"), "authorized_party"},
		"another nonce":              {claims("nonce", "of-another-sign-in"), "nonce"},
		"no nonce":                   {claims("nonce", nil), "nonce"},
		"expired":                    {claims("exp", now-600), "expired"},
		"no end":                     {claims("exp", nil), "expired"},
		"from the future":            {claims("iat", now+600), "future"},
		"from the far future":        {claims("iat", 1e300), "future"},
		"not yet good":               {claims("nbf", now+600), "future"},
		"proved in the future":       {claims("auth_time", now+600), "future"},
		"no beginning":               {claims("iat", nil), "future"},
		"no subject":                 {claims("sub", nil), "subject"},
		"an empty subject":           {claims("sub", ""), "subject"},
		"a long subject":             {claims("sub", strings.Repeat("x", 256)), "subject"},
		"a subject with a line feed": {claims("sub", "a\nb"), "subject"},
		"a subject that is a number": {claims("sub", 5), "signature"},
		"no signature":               {signontest.Lies{Algorithm: "none"}, "signature"},
		"signed with the public key": {signontest.Lies{Algorithm: "HS256"}, "signature"},
		"no token":                   {signontest.Lies{NoToken: true}, "no_id_token"},
		"another issuer's answer":    {signontest.Lies{Answer: url.Values{"iss": {"https://evil.example"}}}, "issuer_parameter"},
		"nobody's answer":            {signontest.Lies{Answer: url.Values{"iss": {}}}, "issuer_parameter"},
		"two states":                 {signontest.Lies{Answer: url.Values{"state": {"a", "b"}}}, "repeated"},
		"another state":              {signontest.Lies{Answer: url.Values{"state": {"a"}}}, "state"},
		"no state":                   {signontest.Lies{Answer: url.Values{"state": {}}}, "state"},
		"no code":                    {signontest.Lies{Answer: url.Values{"code": {}}}, "code"},
		"a made up code":             {signontest.Lies{Answer: url.Values{"code": {"abc"}}}, "code"},
		"declined":                   {signontest.Lies{Answer: url.Values{"code": {}, "error": {"access_denied"}}}, "declined"},
		"declined with a script":     {signontest.Lies{Answer: url.Values{"error": {"<script>alert(1)</script>"}}}, "declined"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nil)
			d.op.Lie(one.lies)
			a, err := d.signIn()
			if err == nil || signon.Check(err) != one.want || a.Subject != "" {
				t.Errorf("%+v, %v (%q), want %q", a, err, signon.Check(err), one.want)
			}
			if p := problem.Of(err); p == nil || strings.Contains(p.Message, "secret detail") || strings.Contains(p.Message, "<script>") {
				t.Errorf("readers see %v", err)
			}
		})
	}
}

// The way back belongs to one browser, one provider and ten minutes.
func TestStateOfAnotherBrowser(t *testing.T) {
	d := newDoor(t, nil)
	cookie, back := d.leave(signon.Trip{Purpose: signon.SignIn})
	other, _ := d.leave(signon.Trip{Purpose: signon.SignIn})
	for name, c := range map[string]string{"none": "", "another's": other, "made up": "AAAA", "altered": cookie[:len(cookie)-4] + "AAAA"} {
		if _, err := d.arrive(c, back); signon.Check(err) != "state" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.service.Arrive(t.Context(), "nosuch", cookie, back); !problem.Is(err, problem.NotFound) {
		t.Error(err)
	}
	if _, err := d.arrive(cookie, back); err != nil {
		t.Error(err)
	}
	if _, err := d.arrive(cookie, back); signon.Check(err) != "code" {
		t.Errorf("the code worked twice: %v", err)
	}
	cookie, back = d.leave(signon.Trip{Purpose: signon.SignIn})
	d.wait(signon.TripLife)
	if _, err := d.arrive(cookie, back); signon.Check(err) != "state" {
		t.Errorf("after ten minutes: %v", err)
	}
	d.wait(-2 * signon.TripLife) // the clock jumps back
	if _, err := d.arrive(cookie, back); signon.Check(err) != "state" {
		t.Errorf("before it began: %v", err)
	}
}

// A provider that sends its key away and signs with another is asked for it.
func TestKeyRotation(t *testing.T) {
	d := newDoor(t, nil)
	for range 3 {
		if _, err := d.signIn(); err != nil {
			t.Fatal(err)
		}
		d.op.Rotate()
	}
	if n := d.op.Visits("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("the description was read %d times", n)
	}
}

// Whatever is wrong with a provider, the answer is a problem, and comes soon.
func TestTrouble(t *testing.T) {
	for _, how := range []string{"down", "slow", "huge", "elsewhere"} {
		for _, path := range []string{"/.well-known/openid-configuration", "/token", "/keys"} {
			t.Run(how+path, func(t *testing.T) {
				t.Parallel()
				d := newDoor(t, nil)
				d.op.Fail(path, how)
				began := time.Now()
				var err error
				want := "unavailable"
				if path == "/.well-known/openid-configuration" {
					_, _, err = d.service.Depart(t.Context(), "corp", signon.Trip{})
				} else {
					_, err = d.signIn()
				}
				if path == "/keys" {
					want = "signature" // none could be checked
				}
				if signon.Check(err) != want {
					t.Errorf("%v (%q), want %q", err, signon.Check(err), want)
				}
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("it took %s", took)
				}
				d.op.Fail(path, "")
				d.wait(10 * time.Second)
				if _, err := d.signIn(); err != nil {
					t.Errorf("after it: %v", err)
				}
				if path == "/.well-known/openid-configuration" && !slices.Equal(d.told, []string{"corp false", "corp true"}) {
					t.Errorf("told %v", d.told)
				}
			})
		}
	}
}

// A provider that doesn't answer isn't asked again by everybody who comes.
func TestDownIsRemembered(t *testing.T) {
	d := newDoor(t, nil)
	d.op.Fail("/.well-known/openid-configuration", "down")
	for range 20 {
		if _, _, err := d.service.Depart(t.Context(), "corp", signon.Trip{}); !problem.Is(err, problem.Unavailable) {
			t.Fatal(err)
		}
	}
	if n := d.op.Visits("/.well-known/openid-configuration"); n != 1 || len(d.told) != 1 {
		t.Errorf("asked %d times, told %v", n, d.told)
	}
	// One that answered once is believed while it doesn't.
	d.op.Fail("/.well-known/openid-configuration", "")
	d.wait(time.Minute)
	if _, err := d.signIn(); err != nil {
		t.Fatal(err)
	}
	d.op.Fail("/.well-known/openid-configuration", "down")
	d.wait(2 * time.Hour)
	if _, _, err := d.service.Depart(t.Context(), "corp", signon.Trip{}); err != nil {
		t.Error(err)
	}
}

// A description that leads to other hosts, or is another issuer's, isn't followed.
func TestDescription(t *testing.T) {
	for name, lie := range map[string]map[string]any{
		"another issuer":    {"issuer": "https://evil.example"},
		"tokens elsewhere":  {"token_endpoint": "https://evil.example/token"},
		"keys elsewhere":    {"jwks_uri": "http://169.254.169.254/keys"},
		"people elsewhere":  {"authorization_endpoint": "javascript:alert(1)"},
		"no token endpoint": {"token_endpoint": ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nil)
			d.op.Lie(signontest.Lies{Metadata: lie})
			if _, _, err := d.service.Depart(t.Context(), "corp", signon.Trip{}); signon.Check(err) != "unavailable" {
				t.Error(err)
			}
		})
	}
	d := newDoor(t, func(s *signon.Setting) { s.Secret = secret.New("a wrong secret") })
	if _, err := d.signIn(); signon.Check(err) != "code" {
		t.Errorf("with a wrong secret: %v", err)
	}
}

func TestGroups(t *testing.T) {
	many := make([]string, 501)
	for i := range many {
		many[i] = fmt.Sprint("g", i)
	}
	for name, one := range map[string]struct {
		claims  map[string]any
		ids     int
		trouble bool
	}{
		"none":          {map[string]any{}, 0, false},
		"one string":    {map[string]any{"groups": "admins"}, 1, false},
		"odd things":    {map[string]any{"groups": []any{"a", 1, nil, map[string]any{"id": "b"}, strings.Repeat("x", 300), "c\x00"}}, 1, false},
		"a number":      {map[string]any{"groups": 7}, 0, false},
		"an object":     {map[string]any{"groups": map[string]any{"a": true}}, 0, false},
		"as many as go": {map[string]any{"groups": many[:500]}, 500, false},
		"too many":      {map[string]any{"groups": many}, 0, true},
		"elsewhere": {map[string]any{
			"_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example/x"}},
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, nil)
			d.op.Person(one.claims)
			a, err := d.signIn()
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Groups.IDs) != one.ids || (a.Groups.Trouble != "") != one.trouble {
				t.Errorf("%+v", a.Groups)
			}
		})
	}
	d := newDoor(t, func(s *signon.Setting) { s.GroupsClaim = "" })
	d.op.Person(map[string]any{"groups": []string{"a"}, "acr": "high", "email_verified": "true", "name": "\u202e", "preferred_username": "olga"})
	if a, err := d.signIn(); err != nil || a.Groups != nil || !a.Strong || !a.Verified || a.Name != "olga" {
		t.Errorf("%+v %v", a, err)
	}
}

// Whoever proves themselves again must have done so after they were sent.
func TestProve(t *testing.T) {
	d := newDoor(t, nil)
	trip := signon.Trip{Purpose: signon.Prove, Session: "ses_1", Next: "/x"}
	a, err := d.arrive(d.leave(trip))
	if err != nil || a.Session != "ses_1" || a.ProvedAt.IsZero() {
		t.Fatal(a, err)
	}
	if asked := d.op.Asked(); asked.Get("prompt") != "login" || asked.Get("max_age") != "0" {
		t.Errorf("asked with %v", asked)
	}
	d.op.Person(map[string]any{"auth_time": time.Now().Add(30 * time.Second).Unix()}) // by a clock that is ahead
	if a, err := d.arrive(d.leave(trip)); err != nil || a.ProvedAt.After(d.now()) {
		t.Errorf("proved at %s, which is to come: %v", a.ProvedAt, err)
	}
	for _, at := range []any{nil, time.Now().Add(-10 * time.Minute).Unix()} {
		d.op.Person(map[string]any{"auth_time": at})
		if _, err := d.arrive(d.leave(trip)); signon.Check(err) != "not_proved" {
			t.Errorf("proved at %v: %v", at, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("secret", "s3cret\n")
	write("empty", "\n")
	good := map[string]any{"id": "corp", "name": " Corp ", "issuer": "https://login.example.com", "client_id": "c", "client_secret_file": "secret", "scopes": []string{"email", "openid"}, "hosts": []string{"Keys.example.com"}}
	file := func(change func(map[string]any), more ...map[string]any) string {
		one := map[string]any{}
		for k, v := range good {
			one[k] = v
		}
		if change != nil {
			change(one)
		}
		text, err := json.Marshal(map[string]any{"providers": append([]map[string]any{one}, more...)})
		if err != nil {
			t.Fatal(err)
		}
		return write("oidc.json", string(text))
	}
	got, err := signon.Load(file(nil))
	if err != nil || got[0].Name != "Corp" || got[0].Secret.Reveal() != "s3cret" || !slices.Equal(got[0].Scopes, []string{"openid", "email"}) || !slices.Equal(got[0].Hosts, []string{"keys.example.com", "login.example.com"}) {
		t.Fatalf("%+v %v", got, err)
	}
	set := func(name string, v any) string { return file(func(m map[string]any) { m[name] = v }) }
	for name, bad := range map[string]func() string{
		"unknown":           func() string { return set("client_secret", "x") },
		"can't be read":     func() string { return write("oidc.json", "{") },
		"behind its end":    func() string { return write("oidc.json", `{"providers":[]} {}`) },
		"names 0 providers": func() string { return write("oidc.json", `{}`) },
		"id should":         func() string { return set("id", "Corp/..") },
		"name should":       func() string { return set("name", "") },
		"client_id":         func() string { return set("client_id", "") },
		"must be https":     func() string { return set("issuer", "http://login.example.com") },
		"only on a loopback": func() string {
			return file(func(m map[string]any) { m["issuer"], m["allow_http"] = "http://10.0.0.1", true })
		},
		"issuer should":       func() string { return set("issuer", "https://u:p@login.example.com") },
		"never changes":       func() string { return set("subject_claim", "email") },
		"is no scope":         func() string { return set("scopes", []string{"a b"}) },
		"hosts:":              func() string { return set("hosts", []string{"https://x"}) },
		"client_secret_file":  func() string { return set("client_secret_file", "nosuch") },
		"the file is empty":   func() string { return set("client_secret_file", "empty") },
		"same id or the same": func() string { return file(nil, good) },
		"no such file":        func() string { return filepath.Join(dir, "nosuch.json") },
		"too large":           func() string { return write("oidc.json", strings.Repeat(" ", 2<<20)) },
		"names 21 providers":  func() string { return file(nil, slices.Repeat([]map[string]any{good}, 20)...) },
	} {
		if _, err := signon.Load(bad()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
