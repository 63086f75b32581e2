package sandbox

import (
	"context"
	"net"
	"net/http"
	"time"
)

// before lets the trouble of a request strike before anything is done, and
// tells whether that was the end of it.
func (s *Server) before(w http.ResponseWriter, r *http.Request, q *request, t trouble) bool {
	if !s.pause(r.Context(), s.options.Latency+s.quirks.latency+t.wait) {
		cut(w)
		return true
	}
	switch t.kind {
	case "timeout-before":
		s.hang(w, r)
	case "reset-before":
		cut(w)
	case "5xx-before", "status":
		s.write(w, q, s.plainReply(q, t.status))
	case "redirect":
		s.write(w, q, reply{status: t.status, location: t.url})
	default:
		return false
	}
	return true
}

// after lets the trouble of a request strike when its work is done.
func (s *Server) after(w http.ResponseWriter, r *http.Request, q *request, t trouble, done reply) {
	switch t.kind {
	case "timeout-after":
		s.hang(w, r)
		return
	case "reset-after":
		cut(w)
		return
	case "5xx-after":
		done = s.plainReply(q, t.status)
	case "garbage-2xx":
		if done.status < 300 {
			done.body = done.body[:len(done.body)/2]
		}
	}
	s.write(w, q, done)
}

// plainReply is an answer that says nothing but a status.
func (s *Server) plainReply(q *request, status int) reply {
	switch {
	case status == http.StatusTooManyRequests:
		return s.refusal(q, tooManyRequests(q.rate.limit, 1))
	case status == http.StatusForbidden:
		return s.refusal(q, notPermitted(q))
	case status < 300:
		return reply{status: status, body: []byte("{}")}
	}
	return s.refusal(q, unexpected(status))
}

// pause waits, and tells whether the client is still there.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// hang keeps the client waiting until it gives up or the server is closed.
func (s *Server) hang(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closed:
	}
	cut(w)
}

// cut ends the connection without an answer, by a reset where it is TCP.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to end a connection that can't be taken over
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is merely less abrupt
	}
	_ = conn.Close() // nobody is left to tell
}
