package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/outbound"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Kinds of channel.
const (
	Slack   = "slack"
	Teams   = "teams"
	Webhook = "webhook"
)

// Kinds lists the kinds of channel.
func Kinds() []string { return []string{Slack, Teams, Webhook} }

// A Channel is a place that is told, beside people.
type Channel struct {
	ID      string // chn_…
	Kind    string
	Name    string
	Host    string // of its address
	Last4   string // of its address
	URL     []byte // sealed
	Secret  []byte // sealed; empty unless Kind is [Webhook]
	Topics  []Topic
	Created time.Time
	Health  Health
}

// Health is how the last messages to a channel went.
type Health struct {
	OKAt     time.Time
	FailedAt time.Time
	Problem  string // of the last failure
}

// Carries reports whether a channel is told of a topic.
func (c Channel) Carries(t Topic) bool { return slices.Contains(c.Topics, t) }

func (c Channel) event(by access.Reader, action string) audit.Event {
	return audit.Event{Actor: by.Actor(), Action: action, Object: audit.Object{Kind: "channel", ID: c.ID, Name: c.Name}}
}

// Places of what is sealed.
const channelTable, urlField, secretField = "channel", "url", "secret"

// ChannelInput is what an admin says of a new channel.
type ChannelInput struct {
	Kind   string
	Name   string
	URL    secret.Value
	Topics []Topic
}

const maxChannelName = 60 // characters

// check returns complaints by field.
func (s *Service) check(in *ChannelInput) map[string]string {
	wrong := map[string]string{}
	in.Name = clean(in.Name)
	if in.Name == "" || len([]rune(in.Name)) > maxChannelName {
		wrong["name"] = "Enter a name of at most 60 characters."
	}
	if !slices.Contains(Kinds(), in.Kind) {
		wrong["kind"] = "Choose from what is listed."
	}
	if len(in.Topics) == 0 || slices.ContainsFunc(in.Topics, func(t Topic) bool { return !slices.Contains(Topics(), t) }) {
		wrong["topics"] = "Choose at least one of these."
	}
	if _, complaint := s.out.CheckURL(in.URL.Reveal()); complaint != "" {
		wrong["url"] = complaint
	}
	return wrong
}

// AddChannel adds a channel. The key that a webhook's messages are signed with is
// returned here and never again.
func (s *Service) AddChannel(ctx context.Context, by access.Reader, in ChannelInput) (Channel, secret.Value, error) {
	if err := by.Check(access.ManageNotifications); err != nil {
		return Channel{}, secret.Value{}, err
	}
	if wrong := s.check(&in); len(wrong) > 0 {
		return Channel{}, secret.Value{}, problem.InvalidFields("Nothing was saved. Correct what is marked and send again.", wrong)
	}
	address := secret.New(strings.TrimSpace(in.URL.Reveal()))
	u, _ := s.out.CheckURL(address.Reveal())
	c := Channel{ID: "chn_" + secret.Code(16), Kind: in.Kind, Name: in.Name, Host: u.Host, Last4: address.Last4(), Topics: in.Topics, Created: s.now()}
	c.URL = s.keys.Seal(address, channelTable, c.ID, urlField)
	var key secret.Value
	if c.Kind == Webhook {
		key = outbound.NewKey()
		c.Secret = s.keys.Seal(key, channelTable, c.ID, secretField)
	}
	e := c.event(by, "channel.added")
	var topics []string
	for _, t := range c.Topics {
		topics = append(topics, string(t))
	}
	e.Detail = map[string]string{"kind": c.Kind, "host": c.Host, "topics": strings.Join(topics, " ")}
	return c, key, s.store.AddChannel(ctx, c, e)
}

// RemoveChannel removes a channel and what waits for it.
func (s *Service) RemoveChannel(ctx context.Context, by access.Reader, id string) (Channel, error) {
	if err := by.Check(access.ManageNotifications); err != nil {
		return Channel{}, err
	}
	c, err := s.store.Channel(ctx, id)
	if err != nil {
		return c, err
	}
	return c, s.store.RemoveChannel(ctx, id, c.event(by, "channel.removed"))
}

// Test sends a test to a channel or, for [MailChannel], to the reader. The problem
// that comes back is in words for them.
func (s *Service) Test(ctx context.Context, by access.Reader, id string) (Channel, error) {
	if err := by.Check(access.ManageNotifications); err != nil {
		return Channel{}, err
	}
	ctx = context.WithoutCancel(ctx) // what was sent gets its entry
	c := Channel{ID: MailChannel, Name: "E-mail"}
	var err error
	if id == MailChannel {
		err = s.testMail(ctx, by)
	} else {
		if c, err = s.store.Channel(ctx, id); err != nil {
			return c, err
		}
		err = s.sendTo(ctx, c, s.testMessage())
	}
	failed := problem.Of(err)
	if err != nil && failed == nil {
		return c, err
	}
	e, words := c.event(by, "channel.tested"), ""
	if failed != nil {
		e.Outcome, words = audit.Failed, failed.Message
		s.log.Warn("a test was not sent", "channel", c.ID, "problem", words, "err", failed.Unwrap())
	}
	if err := s.store.TestedChannel(ctx, c.ID, words, e); err != nil {
		return c, err
	}
	return c, err
}

func (s *Service) testMail(ctx context.Context, by access.Reader) error {
	if !s.settings.Mail.Enabled() {
		return problem.New(problem.Conflict, "No mail server is set.")
	}
	if by.Email == "" {
		return problem.New(problem.Conflict, "Your account has no address to send a test to.")
	}
	return s.sendLetter(ctx, letter{
		to: by.Email, subject: "A test from Gatehouse", body: s.signed([]string{"This is a test. Mail from Gatehouse arrives."}), id: "test." + secret.Code(16),
	})
}

func (s *Service) testMessage() Message {
	return Message{Action: "test", At: s.now(), Text: "This is a test from Gatehouse", Link: s.settings.PublicURL + "/settings/notifications"}
}

// sendTo sends a message to a channel.
func (s *Service) sendTo(ctx context.Context, c Channel, m Message) error {
	address, err := s.keys.Open(c.URL, channelTable, c.ID, urlField)
	if err != nil {
		return fmt.Errorf("address of channel %s: %w", c.ID, err)
	}
	body, err := json.Marshal(shape(c.Kind, m))
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if c.Kind == Webhook {
		key, err := s.keys.Open(c.Secret, channelTable, c.ID, secretField)
		if err != nil {
			return fmt.Errorf("key of channel %s: %w", c.ID, err)
		}
		header.Set(outbound.SignatureHeader, outbound.Sign(key, s.now(), body))
		header.Set(outbound.DeliveryHeader, c.ID+"-"+strconv.FormatInt(m.Seq, 10))
	}
	return s.out.Post(ctx, address.Reveal(), header, body)
}
