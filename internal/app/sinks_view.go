package app

import (
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/sink"
	"gatehouse/web/templates"
)

var (
	sinkKindWords = map[string]string{sink.HTTPS: "Signed HTTPS posts", sink.SyslogTLS: "Syslog by TLS", sink.SyslogTCP: "Syslog by TCP, unencrypted", sink.File: "File"}
	formatWords   = map[string]string{sink.Native: "Gatehouse JSON, with hashes", sink.OCSF: "OCSF 1.3"}
	beginWords    = map[string]string{sink.FromNow: "What happens from now on", sink.FromStart: "The first entry"}
)

func sinkView(k sink.Status, now time.Time) templates.SinkView {
	v := templates.SinkView{Name: k.Name, Kind: sinkKindWords[k.Kind], Address: k.Shown, State: sinkState(k), About: formatWords[k.Format], OK: ago(k.Health.OKAt, now)}
	if k.Filter != "" {
		v.About += " · only " + k.Filter
	}
	if k.Personal {
		v.About += " · with personal data"
	} else {
		v.About += " · without personal data"
	}
	v.At = "Has everything up to entry " + number(int(k.Cursor))
	if k.Cursor == 0 {
		v.At = "Has nothing yet"
	}
	if k.Behind > 0 {
		v.At += " · " + plural(int(k.Behind), "entry waits", "entries wait")
		v.Since = ago(k.Since, now)
	}
	if k.Health.Problem != "" {
		v.Problem, v.Failed = k.Health.Problem, ago(k.Health.FailedAt, now)
	}
	if !k.Paused && k.Behind > 0 && k.Health.Due.After(now) {
		v.Next = exact(k.Health.Due)
	}
	return v
}

// triesBeforeAlarm is how often a sink fails before the overview says so.
const triesBeforeAlarm = 3

// failingSinks are those that don't take what is sent, for who may see sinks.
func (s *Server) failingSinks(c echo.Context) ([]sink.Status, error) {
	if !reader(c).May(access.ViewSettings) {
		return nil, nil
	}
	all, err := s.sinks.Sinks(c.Request().Context())
	return slices.DeleteFunc(all, func(k sink.Status) bool {
		return k.Paused || k.Behind == 0 || k.Health.Tries < triesBeforeAlarm
	}), err
}

func sinkState(k sink.Status) templates.BadgeView {
	switch {
	case k.Paused:
		return templates.BadgeView{Text: "Paused", Tone: "warn"}
	case k.Behind > 0 && k.Health.Tries > 0:
		return templates.BadgeView{Text: "Failing", Tone: "bad"}
	case k.Behind > 0:
		return templates.BadgeView{Text: "Catching up", Tone: "info"}
	}
	return templates.BadgeView{Text: "Up to date", Tone: "good"}
}
