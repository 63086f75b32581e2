package notify

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// MailChannel stands for mail where others have the id of a channel.
const MailChannel = "mail"

// A Delivery is one message that is to be sent. Deliveries of a lane go in order.
type Delivery struct {
	Lane    string
	Channel string // id, or [MailChannel]
	User    string // whom a mail is for
	Seq     int64  // of the entry that it tells
	Why     Why
	Tries   int
	Due     time.Time
	Created time.Time
	GivenUp bool
	Problem string // why the last try failed, in words for admins
}

const digestLane = "digest:"

// gather is how long mails of changes outside wait for one another: a sync may
// find hundreds.
const gather = time.Minute

// mailDelivery addresses a mail. News of break-glass and of one's own account never
// waits for a digest.
func (s *Service) mailDelivery(e audit.Entry, to Recipient, p Preferences) Delivery {
	now := s.now()
	d := Delivery{Lane: "mail:" + to.User.ID, Channel: MailChannel, User: to.User.ID, Seq: e.Seq, Why: to.Why, Due: now, Created: now}
	switch {
	case p.Digest != AtOnce && acts[e.Action].topic != Bypass && to.Why != Security:
		d.Lane, d.Due = digestLane+to.User.ID, p.Digest.due(now)
	case to.Why == Outside:
		d.Lane, d.Due = digestLane+to.User.ID, now.Truncate(gather).Add(gather)
	}
	return d
}

// channelDeliveries addresses an entry to the channels that carry its topic.
func (s *Service) channelDeliveries(ctx context.Context, e audit.Entry) ([]Delivery, error) {
	topic := acts[e.Action].topic
	if topic == "" {
		return nil, nil
	}
	if topic == Approval {
		r, err := s.store.Request(ctx, e.Request)
		if err != nil || !waits(r) {
			return nil, ignoreMissing(err)
		}
	}
	channels, err := s.store.Channels(ctx)
	if err != nil {
		return nil, err
	}
	var out []Delivery
	now := s.now()
	for _, c := range channels {
		if c.Carries(topic) {
			out = append(out, Delivery{Lane: "channel:" + c.ID, Channel: c.ID, Seq: e.Seq, Due: now, Created: now})
		}
	}
	return out, nil
}

// dispatch starts to send what is due and returns when it is worth looking again.
func (s *Service) dispatch(ctx context.Context) (time.Duration, error) {
	lanes, err := s.store.Lanes(ctx)
	if err != nil {
		return lookEvery, err
	}
	wait, now := lookEvery, s.now()
	for lane, due := range lanes {
		if left := due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		s.mu.Lock()
		busy := s.busy[lane]
		s.busy[lane] = true
		s.mu.Unlock()
		if !busy {
			s.group.Go(func() { s.work(ctx, lane) })
		}
	}
	return wait, nil
}

// work sends what is due in a lane, in order, until something fails.
func (s *Service) work(ctx context.Context, lane string) {
	defer func() {
		s.mu.Lock()
		delete(s.busy, lane)
		s.mu.Unlock()
		s.Wake() // what came meanwhile, or the next try
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return
	}
	for {
		more, err := s.sendNext(ctx, lane)
		if err != nil && ctx.Err() == nil {
			s.log.Error("send a notification", "lane", lane, "err", err)
			pause(ctx, s.settings.Retry) // it is still due, and may fail again
		}
		if err != nil || !more {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// batch is the most that a digest lists; what is left makes the next one.
const batch = 100

// sendNext sends the next message of a lane and reports whether it went well.
func (s *Service) sendNext(ctx context.Context, lane string) (bool, error) {
	digest := strings.HasPrefix(lane, digestLane)
	limit := 1
	if digest {
		limit = batch
	}
	waiting, err := s.store.Waiting(ctx, lane, limit)
	if err != nil {
		return false, err
	}
	now := s.now()
	for i, d := range waiting {
		if d.Due.After(now) {
			waiting = waiting[:i]
			break
		}
	}
	if len(waiting) == 0 {
		return false, nil
	}
	err = s.send(ctx, waiting, digest)
	if err != nil && ctx.Err() != nil {
		return false, err // broken off by the program's end, which is nobody's failure
	}
	if p := problem.Of(err); p != nil {
		s.log.Warn("a notification was not sent", "lane", lane, "problem", p.Message, "err", p.Unwrap())
		return false, s.store.Postpone(context.WithoutCancel(ctx), s.postponed(waiting, p.Message))
	}
	if err != nil {
		return false, err
	}
	return true, s.store.Sent(context.WithoutCancel(ctx), waiting)
}

// send sends deliveries of one lane as one message. A failure that may pass is a
// problem in words for admins.
func (s *Service) send(ctx context.Context, all []Delivery, digest bool) error {
	if d := all[0]; d.Channel != MailChannel {
		return s.sendToChannel(ctx, d)
	}
	u, err := s.user(ctx, all[0].User)
	if err != nil || u.State != access.Active {
		return err // who may not sign in any more gets nothing
	}
	var messages []Message
	for _, d := range all {
		e, _, err := s.entry(ctx, d.Seq)
		if err != nil {
			return err
		}
		m, err := s.messageTo(ctx, u, e, d.Why)
		if err != nil {
			return err
		}
		messages = append(messages, m)
	}
	if digest && len(messages) > 1 {
		return s.mailDigest(ctx, u, messages)
	}
	return s.mail(ctx, u, messages[0])
}

func (s *Service) sendToChannel(ctx context.Context, d Delivery) error {
	e, _, err := s.entry(ctx, d.Seq)
	if err != nil {
		return err
	}
	m, err := s.message(ctx, e, d.Why)
	if err != nil {
		return err
	}
	c, err := s.store.Channel(ctx, d.Channel)
	if err != nil {
		return ignoreMissing(err) // it was removed meanwhile
	}
	return s.sendTo(ctx, c, m)
}

func (s *Service) user(ctx context.Context, id string) (access.User, error) {
	people, err := s.store.Users(ctx)
	for _, u := range people {
		if u.ID == id {
			return u, err
		}
	}
	return access.User{}, err
}

const (
	maxTries = 8
	maxAge   = 24 * time.Hour // of what is tried again
)

// postponed says when deliveries are tried again, or that they aren't.
func (s *Service) postponed(all []Delivery, why string) []Delivery {
	now := s.now()
	for i := range all {
		d := &all[i]
		d.Tries++
		d.Problem = why
		wait := s.settings.Retry
		for range d.Tries - 1 {
			wait *= 3
		}
		d.Due = now.Add(wait + rand.N(wait/4+1)) //nolint:gosec // spreads load, hides nothing
		d.GivenUp = d.Tries >= maxTries || d.Tries > 1 && now.Sub(d.Created) > maxAge
	}
	return all
}

func isMissing(err error) bool { return problem.Is(err, problem.NotFound) }

func ignoreMissing(err error) error {
	if isMissing(err) {
		return nil
	}
	return err
}
