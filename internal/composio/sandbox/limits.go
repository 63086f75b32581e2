package sandbox

import (
	"net/http"
	"strconv"
	"time"
)

// The real API counts requests per organization in fixed windows of a minute.
const (
	rateWindow = time.Minute
	usualLimit = 10_000
)

// A rate is how the limit stood when a request came.
type rate struct{ limit, remaining int }

// A meter counts the requests of the organization.
type meter struct {
	start time.Time
	used  int
}

// count enters a request. Without the rate-limit quirk the headers count down,
// but nothing is refused.
func (s *Server) count(q *request) *failure {
	if q.now.Sub(s.meter.start) >= rateWindow {
		s.meter = meter{start: q.now}
	}
	s.meter.used++
	q.rate = s.rate()
	if s.quirks.rateLimit < 0 || s.meter.used <= s.quirks.rateLimit {
		return nil
	}
	left := s.meter.start.Add(rateWindow).Sub(q.now)
	return tooManyRequests(s.quirks.rateLimit, max(1, int((left+time.Second-1)/time.Second)))
}

func (s *Server) rate() rate {
	limit := usualLimit
	if s.quirks.rateLimit >= 0 {
		limit = s.quirks.rateLimit
	}
	return rate{limit: limit, remaining: max(0, limit-s.meter.used)}
}

func (r rate) headers(h http.Header) {
	h.Set("X-RateLimit", strconv.Itoa(r.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(r.remaining))
	h.Set("X-RateLimit-Window-Size", "60s")
}
