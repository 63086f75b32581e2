// Package signon signs people in through the OpenID Connect providers that the
// operator names: it finds out where a provider's endpoints are, sends people
// there, and checks what they come back with. It keeps nothing; who somebody is
// to Gatehouse is for package access to say.
package signon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/secret"
)

// A Setting is one provider as the operator describes it.
type Setting struct {
	ID           string       `json:"id"`                 // in addresses and in history; never changes
	Name         string       `json:"name"`               // on the button
	Issuer       string       `json:"issuer"`             // exactly as the provider writes it
	ClientID     string       `json:"client_id"`          //
	SecretFile   string       `json:"client_secret_file"` // empty: a public client
	Scopes       []string     `json:"scopes"`             // openid is always asked for
	Hosts        []string     `json:"hosts"`              // beside the issuer's, where its endpoints are
	GroupsClaim  string       `json:"groups_claim"`       // empty: groups don't come from here
	SubjectClaim string       `json:"subject_claim"`      // empty: sub; oid where sub differs from what a directory says
	SecondFactor SecondFactor `json:"second_factor"`
	TrustEmail   bool         `json:"trust_email"` // addresses are right though the provider doesn't say that it verified them
	AllowHTTP    bool         `json:"allow_http"`  // for an issuer on a loopback address

	Secret secret.Value `json:"-"`
}

// A SecondFactor says by which words a provider tells that a second factor was
// given. Without any, its sign-ins never count as strong.
type SecondFactor struct {
	AMR []string `json:"amr"`
	ACR []string `json:"acr"`
}

// mostSettings is how large the file may be, and mostProviders how many it names.
const (
	mostSettings  = 1 << 20
	mostProviders = 20
)

// Load reads the providers from a file, with their secrets.
func Load(path string) ([]Setting, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Providers []Setting `json:"providers"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s can't be read: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s can't be read: there is something behind its end", path)
	}
	if n := len(file.Providers); n == 0 || n > mostProviders {
		return nil, fmt.Errorf("%s names %d providers; it should name between 1 and %d", path, n, mostProviders)
	}
	for i := range file.Providers {
		p := &file.Providers[i]
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: provider %d (%q): %w", path, i+1, p.ID, err)
		}
		for _, before := range file.Providers[:i] {
			if before.ID == p.ID || before.Issuer == p.Issuer {
				return nil, fmt.Errorf("%s: the providers %q and %q have the same id or the same issuer", path, before.ID, p.ID)
			}
		}
		if p.Secret, err = p.readSecret(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("%s: provider %q: client_secret_file: %w", path, p.ID, err)
		}
	}
	return file.Providers, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(f, mostSettings+1))
	if err == nil && len(text) > mostSettings {
		err = fmt.Errorf("%s is too large", path)
	}
	return text, err
}

// readSecret reads the provider's secret, beside the file that names it unless the
// path is absolute.
func (p *Setting) readSecret(dir string) (secret.Value, error) {
	if p.SecretFile == "" {
		return secret.Value{}, nil
	}
	path := p.SecretFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text, err := readFile(path)
	if err != nil {
		return secret.Value{}, err
	}
	one := strings.TrimRight(string(text), "\r\n")
	if one == "" {
		return secret.Value{}, errors.New("the file is empty")
	}
	return secret.New(one), nil
}

var (
	idPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	scopePattern = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`) // RFC 6749, 3.3
)

func (p *Setting) check() error {
	if !idPattern.MatchString(p.ID) {
		return errors.New("id should be 1 to 32 lower-case letters, digits and hyphens")
	}
	name, complaint := access.CleanName(p.Name)
	if complaint != "" || len(name) > 40 {
		return errors.New("name should be 1 to 40 characters")
	}
	p.Name = name
	if p.ClientID == "" {
		return errors.New("client_id is missing")
	}
	u, err := url.Parse(p.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("issuer should look like https://login.example.com")
	}
	if u.Scheme != "https" && (!p.AllowHTTP || u.Scheme != "http" || !loopback(u.Hostname())) {
		return errors.New("issuer must be https; http works only on a loopback address and with allow_http")
	}
	if slices.Contains([]string{"email", "preferred_username", "upn", "unique_name", "name", "nickname"}, p.SubjectClaim) {
		return fmt.Errorf("subject_claim: %q can be given to somebody else; name one that never changes, such as oid", p.SubjectClaim)
	}
	for _, scope := range p.Scopes {
		if !scopePattern.MatchString(scope) {
			return fmt.Errorf("%q is no scope", scope)
		}
	}
	p.Scopes = slices.Compact(append([]string{"openid"}, slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return s == "openid" })...))
	p.Hosts = append(slices.Clone(p.Hosts), u.Host)
	for i, h := range p.Hosts {
		if h == "" || strings.ContainsAny(h, "/@?# ") {
			return fmt.Errorf("hosts: %q should look like oauth2.example.com", h)
		}
		p.Hosts[i] = strings.ToLower(h)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reaches reports whether an address is one of the provider's.
func (p *Setting) reaches(u *url.URL) bool {
	secure := u.Scheme == "https" || u.Scheme == "http" && p.AllowHTTP && loopback(u.Hostname())
	return secure && u.User == nil && slices.Contains(p.Hosts, strings.ToLower(u.Host))
}
