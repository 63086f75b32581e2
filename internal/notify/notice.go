package notify

import (
	"context"

	"gatehouse/internal/access"
)

// A Notice is an event that one person has to read.
type Notice struct {
	User string
	Seq  int64 // of the entry of history
	Why  Why
	Read bool
}

// A Told is a notice with its words.
type Told struct {
	Notice
	Message
}

// Notices returns what the reader was told before an entry, the newest first.
func (s *Service) Notices(ctx context.Context, r access.Reader, before int64, limit int) ([]Told, error) {
	all, err := s.store.Notices(ctx, r.ID, before, limit)
	if err != nil {
		return nil, err
	}
	out := make([]Told, 0, len(all))
	for _, n := range all {
		e, _, err := s.entry(ctx, n.Seq)
		if err != nil {
			return nil, err
		}
		m, err := s.messageTo(ctx, r.User, e, n.Why)
		if err != nil {
			return nil, err
		}
		out = append(out, Told{n, m})
	}
	return out, nil
}

// Unread returns how much the reader has to read.
func (s *Service) Unread(ctx context.Context, r access.Reader) (int, error) {
	return s.store.Unread(ctx, r.ID)
}

// MarkRead marks as read what the reader was told up to an entry.
func (s *Service) MarkRead(ctx context.Context, r access.Reader, upTo int64) error {
	return s.store.MarkRead(ctx, r.ID, upTo)
}

// A Pending is a delivery that failed or waits.
type Pending struct {
	Delivery
	To string // the name of the channel or of the person
}

// Pending returns deliveries that failed or wait, the newest first.
func (s *Service) Pending(ctx context.Context, limit int) ([]Pending, error) {
	all, err := s.store.Pending(ctx, s.now(), limit)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	channels, err := s.store.Channels(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range channels {
		names[c.ID] = c.Name
	}
	people, err := s.store.Users(ctx)
	for _, u := range people {
		names[u.ID] = "E-mail to " + u.Name
	}
	out := make([]Pending, 0, len(all))
	for _, d := range all {
		to := d.Channel
		if to == MailChannel {
			to = d.User
		}
		out = append(out, Pending{d, names[to]})
	}
	return out, err
}

// Channels returns all channels, and how mail does.
func (s *Service) Channels(ctx context.Context) (all []Channel, mail Health, err error) {
	if all, err = s.store.Channels(ctx); err != nil {
		return nil, mail, err
	}
	mail, err = s.store.Health(ctx, MailChannel)
	return all, mail, err
}

// MailFrom is who mail comes from, empty if there is none, and the server.
func (s *Service) MailFrom() (from, server string) {
	return s.settings.Mail.From, s.settings.Mail.Addr
}
