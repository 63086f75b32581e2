package access

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// A TokenRight is something that an API token may do, if its owner may.
type TokenRight string

// The rights of tokens. Whoever proposes may read what it is about.
const (
	TokenReads    TokenRight = "configs" // auth configs and change requests
	TokenHistory  TokenRight = "history"
	TokenProposes TokenRight = "propose" // changes of auth configs
)

// TokenRights lists all rights of tokens.
func TokenRights() []TokenRight { return []TokenRight{TokenReads, TokenHistory, TokenProposes} }

// tokenPermissions are all that a token can have: it never votes, settles, or
// manages anything.
var tokenPermissions = map[TokenRight][]Permission{
	TokenReads: {ViewConfigs}, TokenHistory: {ViewHistory}, TokenProposes: {ViewConfigs, ProposeChange},
}

// Limits on tokens.
const (
	MostTokens   = 20                  // good ones of one person
	TokenWarning = 7 * 24 * time.Hour  // before the end of a token, its owner is told
	TokenKept    = 90 * 24 * time.Hour // after its end a token is forgotten
	tokenUsed    = time.Minute         // between two notes that a token was used
	tokenRefused = time.Hour           // between two records that a token was refused
)

// TokenLives lists how long tokens may last.
func TokenLives() []int { return []int{7, 30, 90, 365} } // days

// A Token lets a program act for a person through the JSON API. It may never do
// more than its owner may at that moment.
type Token struct {
	ID         string    // tok_…, fit to show
	Key        TokenHash // what the token hashes to
	UserID     string    // its owner
	Name       string
	Rights     []TokenRight
	Projects   []string // ids; none means all that the owner may
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero while it is good
	LastUsedAt time.Time // to the minute; zero if never
	LastUsedIP string
}

// Good reports whether the token neither expired nor was revoked.
func (t Token) Good(now time.Time) bool { return t.RevokedAt.IsZero() && now.Before(t.ExpiresAt) }

// Allows reports whether one of the token's rights comes with a permission.
func (t Token) Allows(p Permission) bool {
	return slices.ContainsFunc(t.Rights, func(r TokenRight) bool { return slices.Contains(tokenPermissions[r], p) })
}

// object is the token in history. Its name isn't personal data.
func (t Token) object() audit.Object { return audit.Object{Kind: "token", ID: t.ID, Name: t.Name} }

// Tokens look like gh_…: prefix, random part, and a checksum of both, by which
// scanners tell a leaked one from other text without asking anybody.
const (
	tokenPrefix = "gh_"
	tokenRandom = 40 // characters of base 62: 238 bits
	tokenSum    = 6  // characters of base 62, a CRC-32
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newAPIToken() string {
	out := []byte(tokenPrefix)
	var b [1]byte
	for len(out) < len(tokenPrefix)+tokenRandom {
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		if b[0] < 4*62 {       // each character is as likely
			out = append(out, base62[b[0]%62])
		}
	}
	return string(out) + tokenChecksum(string(out))
}

func tokenChecksum(text string) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc32.ChecksumIEEE([]byte(text)))
	n, out := binary.BigEndian.Uint32(b[:]), make([]byte, tokenSum)
	for i := tokenSum - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return string(out)
}

// LooksLikeToken reports whether a text has the form of an API token, checksum
// included.
func LooksLikeToken(text string) bool {
	if len(text) != len(tokenPrefix)+tokenRandom+tokenSum || !strings.HasPrefix(text, tokenPrefix) {
		return false
	}
	if strings.Trim(text[len(tokenPrefix):], base62) != "" {
		return false
	}
	end := len(text) - tokenSum
	return tokenChecksum(text[:end]) == text[end:]
}

// A TokenStore keeps API tokens. A missing one is a problem of kind NotFound.
type TokenStore interface {
	// Token returns a token and its owner, also if it isn't good any more.
	Token(ctx context.Context, key TokenHash) (Token, User, error)
	// Tokens returns a person's tokens, the newest first.
	Tokens(ctx context.Context, userID string) ([]Token, error)
	// AddToken refuses more than [MostTokens] of one person.
	AddToken(ctx context.Context, t Token, e audit.Event) error
	// UpdateToken lets fn revoke a token.
	UpdateToken(ctx context.Context, id string, fn func(*Token) (audit.Event, error)) error
	// TouchToken notes that a token was used.
	TouchToken(ctx context.Context, id string, at time.Time, ip string) error
	// RefuseToken records a refusal unless one was recorded after a time.
	RefuseToken(ctx context.Context, id string, unlessSince time.Time, e audit.Event) error
	// WarnTokens records, once for each token that expires before a time, what e says.
	WarnTokens(ctx context.Context, before time.Time, e func(Token) audit.Event) error
}

// Reader is the token's owner, cut down to what the token may do.
func (t Token) Reader(u User, from Origin) Reader {
	return Reader{User: t.Cut(u), Token: t.ID, token: t, Origin: from}
}

// Same reports whether the token is good and may do what it might as a reader.
func (t Token) Same(u User, was User, now time.Time) bool {
	return t.Good(now) && u.State == Active && t.Cut(u).SameGrants(was)
}

// Cut returns the owner with no more than what the token may do.
func (t Token) Cut(u User) User {
	var cut []Grant
	for _, g := range u.Grants {
		g.Allows = slices.DeleteFunc(slices.Clone(g.Allows), func(p Permission) bool { return !t.Allows(p) })
		for _, s := range t.within(g.Scope) {
			g.Scope = s
			cut = append(cut, g)
		}
	}
	u.Grants = cut
	return u
}

// within are the parts of a scope that the token may act in.
func (t Token) within(s Scope) []Scope {
	switch {
	case len(t.Projects) == 0:
		return []Scope{s}
	case s.Project != "" && !slices.Contains(t.Projects, s.Project):
		return nil
	case s.Project != "":
		return []Scope{s}
	}
	var parts []Scope
	for _, id := range t.Projects {
		s.Project = id
		parts = append(parts, s)
	}
	return parts
}

// Renew is the reader's account as it is now, cut down as they are.
func (r Reader) Renew(u User) User {
	if r.Token == "" {
		return u
	}
	return r.token.Cut(u)
}

// A TokenWish is the token that somebody wants.
type TokenWish struct {
	Name     string
	Rights   []TokenRight
	Projects []string // ids; none means all
	Days     int
}

func (w TokenWish) clean() (TokenWish, error) {
	fields := map[string]string{}
	w.Name, fields["name"] = cleanName(w.Name)
	w.Rights, w.Projects = slices.Clone(w.Rights), slices.Clone(w.Projects)
	slices.Sort(w.Rights)
	slices.Sort(w.Projects)
	w.Rights, w.Projects = slices.Compact(w.Rights), slices.Compact(w.Projects)
	if len(w.Rights) == 0 {
		fields["may"] = "Choose what the token may do."
	}
	for _, r := range w.Rights {
		if tokenPermissions[r] == nil {
			fields["may"] = "Choose from what is listed."
		}
	}
	if !slices.Contains(TokenLives(), w.Days) {
		fields["days"] = "Choose from what is listed."
	}
	return w, complaints(fields)
}

// MakeToken makes an API token for the reader and returns it. It is told only now.
func (s *Service) MakeToken(ctx context.Context, r Reader, w TokenWish) (Token, secret.Value, error) {
	w, err := w.clean()
	if err != nil {
		return Token{}, secret.Value{}, err
	}
	text, now := newAPIToken(), s.now()
	t := Token{
		ID: "tok_" + secret.Code(16), Key: HashToken(text), UserID: r.ID, Name: w.Name, Rights: w.Rights, Projects: w.Projects,
		CreatedAt: now, ExpiresAt: now.AddDate(0, 0, w.Days),
	}
	rights := []string{}
	for _, one := range t.Rights {
		rights = append(rights, string(one))
	}
	return t, secret.New(text), s.store.AddToken(ctx, t, audit.Event{
		Actor: r.Actor(), Action: "token.made", Object: t.object(),
		Changes: []audit.Change{
			{Field: "may", Before: []string{}, After: rights}, {Field: "projects", Before: []string{}, After: append([]string{}, t.Projects...)},
			{Field: "expires", Before: []string{}, After: []string{t.ExpiresAt.Format(time.RFC3339)}},
		},
	})
}

// Tokens lists the reader's tokens, those that ended some time ago left out, the
// newest first.
func (s *Service) Tokens(ctx context.Context, r Reader) ([]Token, error) {
	return s.store.Tokens(ctx, r.ID)
}

// TokensOf lists the tokens of somebody.
func (s *Service) TokensOf(ctx context.Context, by Reader, id string) ([]Token, error) {
	if err := by.Check(ManagePeople); err != nil {
		return nil, err
	}
	return s.store.Tokens(ctx, id)
}

// RevokeToken ends one of the reader's tokens at once.
func (s *Service) RevokeToken(ctx context.Context, r Reader, id string) error {
	return s.revokeToken(ctx, r, r.ID, id)
}

// RevokeTokenOf ends a token of somebody at once.
func (s *Service) RevokeTokenOf(ctx context.Context, by Reader, owner, id string) error {
	if err := by.Check(ManagePeople); err != nil {
		return err
	}
	return s.revokeToken(ctx, by, owner, id)
}

func (s *Service) revokeToken(ctx context.Context, by Reader, owner, id string) error {
	return s.store.UpdateToken(ctx, id, func(t *Token) (audit.Event, error) {
		switch {
		case t.UserID != owner:
			return audit.Event{}, NoToken()
		case !t.Good(s.now()):
			return audit.Event{}, problem.New(problem.Conflict, "The token %s has ended already.", t.Name)
		}
		t.RevokedAt = s.now()
		return t.Revoked(by.Actor()), nil
	})
}

// NoToken is the answer where there is no such token.
func NoToken() *problem.Error { return problem.New(problem.NotFound, "There is no such token.") }

// Revoked is what is recorded when a token is revoked.
func (t Token) Revoked(by audit.Actor) audit.Event {
	return audit.Event{Actor: by, Action: "token.revoked", Object: t.object(), Detail: map[string]string{"owner": t.UserID}}
}

// BadToken is the one answer to a token that isn't good, whatever the reason.
func BadToken() *problem.Error {
	return problem.New(problem.SignIn, "This token isn't good. It may be mistyped, expired or revoked, or its owner may be disabled. Nothing was changed.")
}

// UseToken returns the reader that a token stands for, as it came: its owner, cut
// down to what the token may do. That a token was refused which there is is
// recorded, once an hour; guesses at others are counted by address.
func (s *Service) UseToken(ctx context.Context, text string, from Origin) (Reader, error) {
	if !LooksLikeToken(text) {
		return Reader{}, BadToken()
	}
	t, u, err := s.store.Token(ctx, HashToken(text))
	if problem.Is(err, problem.NotFound) {
		return Reader{}, s.guessedToken(ctx, from)
	}
	if err != nil {
		return Reader{}, err
	}
	now := s.now()
	if !t.Good(now) || u.State != Active {
		return Reader{}, s.refuseToken(ctx, t, u, from)
	}
	if now.Sub(t.LastUsedAt) >= tokenUsed {
		if err := s.store.TouchToken(ctx, t.ID, now, from.IP); err != nil {
			return Reader{}, err
		}
	}
	return t.Reader(u, from), nil
}

// ThroughToken is the token that the reader acts through, the zero value if it is none.
func (r Reader) ThroughToken() Token { return r.token }

// StillGood makes sure that what a token may do is as it was when a request began.
func (s *Service) StillGood(ctx context.Context, r Reader) error {
	t, u, err := s.store.Token(ctx, r.token.Key)
	if problem.Is(err, problem.NotFound) || err == nil && !t.Same(u, r.User, s.now()) {
		return BadToken()
	}
	return err
}

func (s *Service) refuseToken(ctx context.Context, t Token, u User, from Origin) error {
	e := audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUnknown, IP: from.IP, Agent: from.Agent, Token: t.ID, TokenName: t.Name},
		Action: "token.refused", Object: t.object(), Outcome: audit.Denied, Detail: map[string]string{"owner": t.UserID, "why": t.why(u, s.now())},
	}
	if err := s.store.RefuseToken(ctx, t.ID, s.now().Add(-tokenRefused), e); err != nil {
		return err
	}
	return BadToken()
}

// why says why a token isn't good, for history.
func (t Token) why(u User, now time.Time) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case !now.Before(t.ExpiresAt):
		return "expired"
	}
	return "its owner is " + u.State
}

// guessedToken counts a token that there isn't, and records it.
func (s *Service) guessedToken(ctx context.Context, from Origin) error {
	if err := s.store.TakeGuess(ctx, "token:"+from.IP, func(g *Guess) error { return g.takeAddress(s.now()) }); err != nil {
		return err
	}
	e := audit.Event{
		Actor:  audit.Actor{Kind: audit.ActorUnknown, IP: from.IP, Agent: from.Agent},
		Action: "token.refused", Object: audit.Object{Kind: "token"}, Outcome: audit.Denied, Detail: map[string]string{"why": "unknown"},
	}
	if err := s.store.FailSignIn(ctx, e); err != nil {
		return err
	}
	return BadToken()
}

// TokenExpiresAction is the action of an entry that says that a token's owner is
// told of its end.
const TokenExpiresAction = "token.expires"

// WarnOwners records, once for each token, that it expires soon, so that its owner
// is told.
func (s *Service) WarnOwners(ctx context.Context) error {
	return s.store.WarnTokens(ctx, s.now().Add(TokenWarning), func(t Token) audit.Event {
		return audit.Event{
			Actor: audit.System(), Action: TokenExpiresAction, Object: t.object(),
			Detail: map[string]string{"owner": t.UserID, "expires": t.ExpiresAt.Format("2 Jan 2006, 15:04 UTC")},
		}
	})
}

// Run tells owners in time that their tokens expire, as long as ctx lasts.
func (s *Service) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(warnEvery)
	defer tick.Stop()
	for {
		if err := s.WarnOwners(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

const warnEvery = time.Hour
