package app

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"gatehouse/internal/archive"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// archivesShown is how many archives the page lists: ten years.
const archivesShown = 120

// archivesView says how long entries stay and what left, to who may see settings.
func (s *Server) archivesView(ctx context.Context) (templates.ArchivesView, error) {
	state := s.archive.State()
	all, err := s.store.Archives(ctx, archivesShown)
	if err != nil {
		return templates.ArchivesView{}, err
	}
	leaving, err := s.store.Leaving(ctx)
	if err != nil {
		return templates.ArchivesView{}, err
	}
	v := templates.ArchivesView{Shown: true, Facts: []templates.FactView{{Name: "Entries stay", Text: keptFor(state)}}}
	if state.Months > 0 {
		v.Facts = append(v.Facts, templates.FactView{Name: "Last looked", Time: ago(state.At, s.now())})
	}
	if state.Hold != "" {
		v.Facts = append(v.Facts, templates.FactView{Name: "The next month waits", Text: state.Hold})
	}
	if state.Problem != "" {
		v.Problem = templates.NoticeView{Tone: "bad", Title: "History could not be archived.", Text: capital(state.Problem) + ". Nothing was removed. It is tried again every ten minutes."}
	}
	for i, one := range all {
		row := archiveView(one)
		switch {
		case i == 0 && leaving:
			row.State = templates.BadgeView{Text: "Being removed", Tone: "info"}
		case !s.archive.There(one.Month):
			row.State = templates.BadgeView{Text: "File not there", Tone: "warn"}
		}
		v.Rows = append(v.Rows, row)
	}
	return v, nil
}

func archiveView(a store.Archive) templates.ArchiveView {
	return templates.ArchiveView{
		Month: monthWords(a.Statement), Entries: number(int(a.First())) + " to " + number(int(a.Last())), File: archive.Name(a.Month),
		SHA256: hex.EncodeToString(a.Rows[:]), At: exact(a.At),
	}
}

func keptFor(state archive.State) string {
	if state.Months == 0 {
		return "In the database for ever: CONSOLE_RETENTION is not set"
	}
	return plural(state.Months, "month", "months") + " in the database, then in signed archives"
}

// monthWords name the month of an archive, such as March 2026.
func monthWords(one audit.Statement) string {
	if t, ok := readMoment(one.Month + "-01"); ok {
		return t.Format("January 2006")
	}
	return one.Month
}

// inArchive says where an entry is that left.
func inArchive(a store.Archive) string {
	return "in the archive of " + monthWords(a.Statement) + " (" + archive.Name(a.Month) + ")"
}

// leftIn says in which archive entries of a moment are that have left.
func (s *Server) leftIn(ctx context.Context, at time.Time) (where string, left bool, err error) {
	all, err := s.store.Archives(ctx, archivesShown)
	for _, a := range all {
		if a.Month == at.UTC().Format(audit.MonthFormat) {
			return inArchive(a), true, nil
		}
	}
	return "", false, err
}

// entryOf returns an entry. One that left for an archive is a problem that names it.
func (s *Server) entryOf(ctx context.Context, seq int64) (audit.Entry, error) {
	e, err := s.store.HistoryEntry(ctx, seq)
	if problem.Is(err, problem.NotFound) {
		a, left, aerr := s.store.ArchiveOf(ctx, seq)
		if aerr != nil {
			return e, aerr
		}
		if left {
			return e, problem.New(problem.Gone, "Entry %d is %s. Whoever runs this console has that file.", seq, inArchive(a))
		}
	}
	return e, err
}

// entryOrPlace shows an entry, or says where it is if it left.
func (s *Server) entryOrPlace(ctx context.Context, b entryBuilder, seq int64) (audit.Entry, templates.EntryView, error) {
	e, err := s.entryOf(ctx, seq)
	if problem.Is(err, problem.Gone) {
		a, _, err := s.store.ArchiveOf(ctx, seq)
		number := strconv.FormatInt(seq, 10)
		v := templates.EntryView{
			Seq: number, URL: templates.Local(entryPath(seq)), Avatar: face("–", "archive"),
			Sentence: templates.SentenceView{Who: "Entry " + number, Did: "is " + inArchive(a)},
		}
		v.Age.Text, v.At.Text = "archived", "archived"
		return audit.Entry{Seq: seq}, v, err
	}
	if err != nil {
		return e, templates.EntryView{}, err
	}
	return e, b.entry(e), nil
}
