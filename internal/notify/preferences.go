package notify

import (
	"context"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// A Digest says how often somebody wants mail.
type Digest string

// The choices.
const (
	AtOnce Digest = "at_once"
	Hourly Digest = "hourly"
	Daily  Digest = "daily"
)

// Digests lists the choices.
func Digests() []Digest { return []Digest{AtOnce, Hourly, Daily} }

// dailyHour is when daily digests go out, in UTC.
const dailyHour = 8

// due is when a mail that comes up now is to go.
func (d Digest) due(now time.Time) time.Time {
	switch d {
	case Hourly:
		return now.Truncate(time.Hour).Add(time.Hour)
	case Daily:
		at := now.Truncate(24 * time.Hour).Add(dailyHour * time.Hour)
		if !at.After(now) {
			at = at.Add(24 * time.Hour)
		}
		return at
	}
	return now
}

// Preferences are how one person wants to hear.
type Preferences struct {
	Page   map[Why]bool // in the console
	Mail   map[Why]bool
	Digest Digest
}

// Defaults are the preferences of who never chose.
func Defaults() Preferences {
	return Preferences{
		Page:   map[Why]bool{NeedsMe: true, Mine: true, Watching: true, BreakGlass: true, Outside: true, Asked: true},
		Mail:   map[Why]bool{NeedsMe: true, Mine: true, BreakGlass: true, Outside: true, Asked: true},
		Digest: AtOnce,
	}
}

// Preferences returns how the reader wants to hear.
func (s *Service) Preferences(ctx context.Context, r access.Reader) (Preferences, error) {
	return s.store.Preferences(ctx, r.ID)
}

// SetPreferences saves how the reader wants to hear.
func (s *Service) SetPreferences(ctx context.Context, r access.Reader, p Preferences) error {
	if !slices.Contains(Digests(), p.Digest) {
		return problem.InvalidFields("Nothing was saved.", map[string]string{"digest": "Choose from what is listed."})
	}
	for _, chosen := range []map[Why]bool{p.Page, p.Mail} {
		for why := range chosen {
			if !slices.Contains(Whys(), why) {
				return problem.New(problem.Invalid, "Nothing was saved: %.40q is not a kind of notification.", why)
			}
		}
	}
	before, err := s.store.Preferences(ctx, r.ID)
	if err != nil {
		return err
	}
	return s.store.SetPreferences(ctx, r.ID, p, audit.Event{
		Actor: r.Actor(), Action: "user.notifications_set", Object: audit.Object{Kind: "user", ID: r.ID, Name: r.Name},
		Changes: []audit.Change{
			{Field: "in_console", Before: chosen(before.Page), After: chosen(p.Page)},
			{Field: "by_mail", Before: chosen(before.Mail), After: chosen(p.Mail)},
			{Field: "digest", Before: []string{string(before.Digest)}, After: []string{string(p.Digest)}},
		},
	})
}

func chosen(m map[Why]bool) []string {
	out := []string{}
	for _, why := range slices.Sorted(maps.Keys(m)) {
		if m[why] {
			out = append(out, string(why))
		}
	}
	return out
}
