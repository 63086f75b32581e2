package signon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"gatehouse/internal/access"
)

// Limits on what a provider says.
const (
	skew        = time.Minute // between its clock and ours
	mostSubject = 255         // characters (OpenID Connect Core, 2)
	mostGroups  = 500
	mostGroup   = 200 // characters of one
)

// claims are what an ID token says, and the rest of it.
type claims struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  texts          `json:"aud"`
	Party     string         `json:"azp"`
	Nonce     string         `json:"nonce"`
	Expires   seconds        `json:"exp"`
	Issued    seconds        `json:"iat"`
	Before    seconds        `json:"nbf"`
	Proved    seconds        `json:"auth_time"`
	AMR       texts          `json:"amr"`
	ACR       string         `json:"acr"`
	Name      string         `json:"name"`
	Login     string         `json:"preferred_username"`
	Email     string         `json:"email"`
	Verified  flag           `json:"email_verified"`
	Elsewhere map[string]any `json:"_claim_names"` // claims that are too large to be here

	all map[string]json.RawMessage
}

// texts are strings: one, or a list of which other things are left out.
type texts []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *texts) UnmarshalJSON(b []byte) error {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*t = nil
	switch v := v.(type) {
	case string:
		*t = texts{v}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				*t = append(*t, s)
			}
		}
	}
	return nil
}

// seconds are a time since 1970, 0 if there is none.
type seconds float64

func (s seconds) time() time.Time {
	const farAway = 1 << 40 // fits whatever a clock says, and an int64
	return time.Unix(int64(max(-farAway, min(farAway, s))), 0).UTC()
}

// A flag is true, also as a string.
type flag bool

// UnmarshalJSON implements [json.Unmarshaler].
func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true" || string(b) == `"true"`
	return nil
}

// verify checks the provider's signature and what it signed.
func (p *provider) verify(ctx context.Context, f *found, token *oauth2.Token, t ticket, now time.Time) (claims, error) {
	var c claims
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return c, p.unbelieved("no_id_token", nil)
	}
	signed, err := f.verifier.Verify(ctx, raw)
	if err != nil {
		return c, p.unbelieved("signature", err)
	}
	if err := errors.Join(signed.Claims(&c), signed.Claims(&c.all)); err != nil {
		return c, p.unbelieved("claims", err)
	}
	if p.SubjectClaim != "" {
		c.Subject = ""
		if err := json.Unmarshal(c.all[p.SubjectClaim], &c.Subject); err != nil {
			return c, p.unbelieved("subject", err)
		}
	}
	if signed.AccessTokenHash != "" {
		if err := signed.VerifyAccessToken(token.AccessToken); err != nil {
			return c, p.unbelieved("access_token", err)
		}
	}
	if check := c.check(p, t, now); check != "" {
		return c, p.unbelieved(check, fmt.Errorf("ID token of %.200q for %.200q, issued %s", c.Issuer, []string(c.Audience), c.Issued.time()))
	}
	return c, nil
}

// check names the first thing that is wrong with an ID token (OpenID Connect Core,
// 3.1.3.7), or returns "".
func (c *claims) check(p *provider, t ticket, now time.Time) string {
	printable := func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }
	switch {
	case c.Issuer != p.Issuer:
		return "issuer"
	case !slices.Contains(c.Audience, p.ClientID):
		return "audience"
	case c.Party != "" && c.Party != p.ClientID, len(c.Audience) > 1 && c.Party == "":
		return "authorized_party"
	case t.Nonce == "" || c.Nonce != t.Nonce:
		return "nonce"
	case c.Expires == 0 || !now.Before(c.Expires.time().Add(skew)):
		return "expired"
	case c.Issued == 0, slices.ContainsFunc([]seconds{c.Issued, c.Before, c.Proved}, func(s seconds) bool { return s.time().After(now.Add(skew)) }):
		return "future"
	case c.Subject == "" || len(c.Subject) > mostSubject || strings.ContainsFunc(c.Subject, printable):
		return "subject"
	case t.Purpose == Prove && (c.Proved == 0 || c.Proved.time().Before(t.Left.Add(-skew))):
		return "not_proved"
	}
	return ""
}

// arrival is who came, in the words of package access. What a clock that is ahead
// says was proved now.
func (c *claims) arrival(p *provider, t ticket, now time.Time) access.Arrival {
	a := access.Arrival{
		Identity: access.Identity{Provider: p.ID, Issuer: p.Issuer, Subject: c.Subject, Email: c.Email},
		Name:     c.name(), Verified: bool(c.Verified) || p.TrustEmail,
		Strong: slices.ContainsFunc(c.AMR, func(m string) bool { return slices.Contains(p.SecondFactor.AMR, m) }) || c.ACR != "" && slices.Contains(p.SecondFactor.ACR, c.ACR),
		Ticket: access.HashToken(t.State), TicketUntil: t.Left.Add(TripLife),
	}
	if c.Proved != 0 {
		a.ProvedAt = time.Unix(min(c.Proved.time().Unix(), now.Unix()), 0).UTC()
	}
	if p.GroupsClaim != "" {
		a.Groups = c.groups(p.GroupsClaim)
	}
	return a
}

// name is the best of what the provider calls somebody.
func (c *claims) name() string {
	local, _, _ := strings.Cut(c.Email, "@")
	for _, n := range []string{c.Name, c.Login, local} {
		if n, complaint := access.CleanName(n); complaint == "" {
			return n
		}
	}
	return "Somebody new"
}

// groups are the ids of the groups that somebody is in. Ids that can't be read
// count for nothing; nor do any if there are so many that the provider, or we,
// can't tell them all.
func (c *claims) groups(claim string) *access.ExternalGroups {
	g := &access.ExternalGroups{}
	raw, here := c.all[claim]
	if _, elsewhere := c.Elsewhere[claim]; elsewhere && !here {
		g.Trouble = "the provider left them out, since they are too many"
		return g
	}
	var all texts
	if here {
		if err := json.Unmarshal(raw, &all); err != nil {
			g.Trouble = "the claim can't be read"
			return g
		}
	}
	if len(all) > mostGroups {
		g.Trouble = fmt.Sprintf("they are more than %d", mostGroups)
		return g
	}
	for _, id := range all {
		if id != "" && len(id) <= mostGroup && !strings.ContainsFunc(id, unicode.IsControl) {
			g.IDs = append(g.IDs, id)
		}
	}
	slices.Sort(g.IDs)
	g.IDs = slices.Compact(g.IDs)
	return g
}
