package app

import (
	"cmp"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/evidence"
	"gatehouse/internal/problem"
	"gatehouse/web/templates"
)

// exportTypes are what browsers are told of files.
var exportTypes = map[evidence.Format]string{evidence.CSV: "text/csv; charset=utf-8", evidence.JSONL: "application/x-ndjson"}

// historyCSV sends the whole result of a search as a spreadsheet.
func (s *Server) historyCSV(c echo.Context) error { return s.export(c, evidence.CSV) }

// historyJSONL sends the whole result of a search as it is stored.
func (s *Server) historyJSONL(c echo.Context) error { return s.export(c, evidence.JSONL) }

func (s *Server) export(c echo.Context, format evidence.Format) error {
	return s.handOut(c, exportTypes[format], format.File(), func() (handout, error) {
		a, err := s.ask(c)
		if err := cmp.Or(err, a.problem()); err != nil {
			return nil, err
		}
		return s.evidence.Begin(c.Request().Context(), reader(c), evidence.Wish{Query: a.history, Text: a.words(), Format: format})
	})
}

// A handout is a file that is about to be written.
type handout interface {
	Write(context.Context, io.Writer) (evidence.Receipt, error)
}

// handOut sends a file as it is made. Nothing of it leaves before begin has
// recorded that it will.
func (s *Server) handOut(c echo.Context, kind, name string, begin func() (handout, error)) error {
	if c.Request().Method == http.MethodHead {
		if err := beforeShown(c); err != nil {
			return err
		}
		attach(c, kind, name)
		return c.NoContent(http.StatusOK)
	}
	if !s.limits.export(reader(c).ID) {
		return tooManyExports()
	}
	e, err := begin()
	if err == nil {
		err = beforeShown(c)
	}
	if err != nil {
		return err
	}
	attach(c, kind, name)
	c.Response().Header().Set("Trailer", headerDigest)
	c.Response().WriteHeader(http.StatusOK)
	receipt, err := e.Write(c.Request().Context(), newSlowWriter(c))
	if err != nil {
		s.log.Error("an export was broken off", "request", requestID(c), "err", err)
		panic(http.ErrAbortHandler) // so that the browser doesn't take it for whole
	}
	c.Response().Header().Set(headerDigest, "sha-256=:"+base64.StdEncoding.EncodeToString(receipt.SHA256[:])+":")
	return nil
}

const headerDigest = "Content-Digest" // RFC 9530

// attach makes the answer a file to save.
func attach(c echo.Context, kind, name string) {
	c.Response().Header().Set(echo.HeaderContentType, kind)
	c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="`+name+`"`)
}

func tooManyExports() error {
	p := problem.New(problem.TooMany, "That is a lot of exports at once. This one was not made. Wait a moment and try again.")
	p.RetryAfter = exportEvery
	return p
}

// A slowWriter passes on what may take long as a whole: each write has a time
// limit of its own.
type slowWriter struct {
	to  http.ResponseWriter
	out *http.ResponseController
}

const slowWrite = 30 * time.Second

func newSlowWriter(c echo.Context) slowWriter {
	return slowWriter{c.Response(), http.NewResponseController(c.Response())}
}

// Write implements [io.Writer].
func (w slowWriter) Write(p []byte) (int, error) {
	if err := w.out.SetWriteDeadline(time.Now().Add(slowWrite)); err != nil {
		return 0, err
	}
	return w.to.Write(p)
}

// words are the search as a reader would type it, empty if all is asked for.
func (a asked) words() string {
	text := a.query.String()
	if a.from != "" {
		text += " from " + a.from
	}
	if a.to != "" {
		text += " to " + a.to
	}
	return strings.TrimSpace(text)
}

// exportLinks lead to the whole result of a search as files.
func exportLinks(c echo.Context, a asked) []templates.LinkView {
	if !reader(c).May(access.ExportHistory) {
		return nil
	}
	link := func(text, path string) templates.LinkView {
		return templates.LinkView{Text: text, URL: templates.Local(query(path, a.params()...))}
	}
	links := []templates.LinkView{link("Export CSV", historyFile(evidence.CSV)), link("Export JSON lines", historyFile(evidence.JSONL))}
	if a.active() {
		links = append(links, link("Evidence pack", evidencePath(historyPath)))
	}
	return links
}

// exportSentence says how much was exported.
func exportSentence(e audit.Entry) string {
	n, err := strconv.Atoi(e.Detail["rows"])
	if err != nil {
		return ""
	}
	if e.Outcome != audit.OK {
		return "in part"
	}
	return "with " + plural(n, "entry", "entries")
}
