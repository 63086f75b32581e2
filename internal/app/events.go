package app

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

// Limits on event streams.
const (
	streamLife  = time.Hour              // then the browser opens another
	streamGap   = 300 * time.Millisecond // between two events at least
	streamWrite = 10 * time.Second       // for one write
	streamsEach = 10                     // of one person at once
	defaultBeat = 20 * time.Second       // between signs of life
)

const eventType = "text/event-stream"

// streams counts the open event streams of each person.
type streams struct {
	mu sync.Mutex
	by map[string]int
}

// enter reports whether a person may have another stream, which [streams.leave] ends.
func (s *streams) enter(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[user] >= streamsEach {
		return false
	}
	if s.by == nil {
		s.by = map[string]int{}
	}
	s.by[user]++
	return true
}

func (s *streams) leave(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[user]--; s.by[user] <= 0 {
		delete(s.by, user)
	}
}

// asOf names the state that pages are made of. It changes with every commit that
// they may show, with every sync, and when the program starts anew.
func (s *Server) asOf() string {
	version := strconv.FormatInt(s.store.Version(), 10)
	return version + "." + strconv.FormatInt(s.mirror.Activity(), 36) + "." + strconv.FormatInt(s.started.UnixMicro(), 36)
}

// wantsEvents reports whether a request is a browser's for a stream.
func wantsEvents(c echo.Context) bool {
	return strings.Contains(c.Request().Header.Get(echo.HeaderAccept), eventType)
}

// polling reports whether a request is a page's own, which is no sign that its
// reader is there.
func polling(c echo.Context) bool {
	return c.Request().Header.Get("X-Poll") != "" || c.Path() == eventsPath
}

// events tells the browser whenever what pages show may have changed, as long as
// the session lasts. Who doesn't ask for a stream is told once.
func (s *Server) events(c echo.Context) error {
	if err := beforeShown(c); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("X-Accel-Buffering", "no") // for proxies
	if !wantsEvents(c) || c.Request().Method == http.MethodHead {
		return c.Blob(http.StatusOK, eventType, []byte(changedEvent(s.asOf())))
	}
	who := reader(c)
	if !s.streams.enter(who.ID) {
		return problem.New(problem.TooMany, "You have %d pages open that follow what happens. This one has to ask by itself.", streamsEach)
	}
	defer s.streams.leave(who.ID)
	h.Set(echo.HeaderContentType, eventType)
	token, _ := c.Get(keyToken).(string)
	e := stream{s: s, c: c, out: http.NewResponseController(c.Response()), key: access.HashToken(token)}
	if e.write("retry: 2000\n\n") != nil {
		return nil // the reader is gone
	}
	e.run()
	return nil
}

func changedEvent(asOf string) string { return fmt.Sprintf("event: changed\ndata: %s\n\n", asOf) }

// A stream is one browser that is told of changes.
type stream struct {
	s    *Server
	c    echo.Context
	out  *http.ResponseController
	key  access.TokenHash
	told string // the state that was told last
}

// run tells of changes until the session, the browser, the server or the stream's
// own time ends. It says at first how things are: they may have changed since
// the page was made.
func (e *stream) run() {
	beat, life, due := time.NewTicker(e.s.beat), time.NewTimer(streamLife), time.NewTimer(0)
	defer beat.Stop()
	defer life.Stop()
	defer due.Stop()
	for waiting := true; ; {
		changed, active := e.s.store.Changed(), e.s.mirror.Changed() // before looking
		if !e.s.goodSession(e.c, e.key) {
			_ = e.write("event: ended\ndata: \n\n") // it ends either way
			return
		}
		if !waiting && e.told != e.s.asOf() {
			waiting = true
			due.Reset(streamGap)
		}
		var err error
		select {
		case <-e.c.Request().Context().Done():
			return
		case <-e.s.stop:
			return
		case <-life.C:
			return
		case <-changed:
		case <-active:
		case <-due.C:
			waiting, e.told = false, e.s.asOf()
			err = e.write(changedEvent(e.told))
		case <-beat.C:
			err = e.write(": still here\n\n")
		}
		if err != nil {
			return
		}
	}
}

// write sends something at once. It has a time limit of its own, since the
// server's is for whole answers.
func (e *stream) write(text string) error {
	if err := e.out.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := e.c.Response().Write([]byte(text)); err != nil {
		return err
	}
	return e.out.Flush()
}

// goodSession reports whether somebody is still signed in by a session. That is
// no use of it.
func (s *Server) goodSession(c echo.Context, key access.TokenHash) bool {
	one, user, err := s.store.Session(c.Request().Context(), key)
	return err == nil && !one.Expired(s.now()) && user.State == access.Active
}
