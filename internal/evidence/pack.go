package evidence

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
	"gatehouse/internal/witness"
)

// A Kind is what an evidence pack is about.
type Kind string

// The kinds.
const (
	OfRequest Kind = "request" // a change request, with the sign-ins of its voters
	OfConfig  Kind = "config"  // an auth config and all change requests that were about it
	OfPerson  Kind = "person"  // what somebody did, and what was done to them
	OfReview  Kind = "review"  // a closed review: its report, its entries and what was done in it
	OfSearch  Kind = "search"  // what a search of history finds, such as a period
)

// A Subject is what a pack is about.
type Subject struct {
	Kind    Kind
	ID      string // of the request, config, person or review
	Project string // of the request or config
	Name    string
	Query   store.HistoryQuery // of a search
	Text    string             // how its reader would type that
}

// MaxRows is how many entries a pack can hold.
const MaxRows = 50_000

// PackFile is the name under which packs are saved.
const PackFile = "evidence.zip"

// A Pack is evidence that is about to be written. What is in it is decided when
// it begins.
type Pack struct {
	service    *Service
	by         access.Reader
	subject    Subject
	id         string // exp_…
	at         time.Time
	checkpoint audit.Signed
	problem    string   // what the console says is wrong with history
	seqs       []int64  // the first one first
	requests   []string // ids, in the order of the first entry about them
}

// BeginPack collects what a pack holds, has history signed so that all of it is
// covered, and records that the pack is made. Entries that its reader may not take
// away are left out; a review is taken away as a whole.
func (s *Service) BeginPack(ctx context.Context, by access.Reader, about Subject) (*Pack, error) {
	who := by.User
	if about.Kind == OfReview {
		who = who.At(access.Place{})
	}
	if err := who.Check(access.ExportHistory); err != nil {
		return nil, err
	}
	if s.witness == nil {
		return nil, problem.New(problem.Unavailable, "History isn't signed here, so there are no evidence packs.")
	}
	if _, err := s.store.Searchable(ctx); err != nil {
		return nil, err
	}
	err := s.witness.Checkpoint(ctx, witness.ForEvidence)
	if err != nil && !errors.Is(err, audit.ErrTampered) && !errors.Is(err, audit.ErrRolledBack) {
		return nil, err
	}
	p := &Pack{service: s, by: by, subject: about, id: "exp_" + secret.Code(16), at: s.now()}
	if known := s.witness.Known().Problem; known != nil { // evidence is wanted then above all
		p.problem = oneLine(known.Error())
	}
	if p.checkpoint, err = s.store.LatestCheckpoint(ctx); err != nil {
		return nil, err
	}
	if err := p.gather(ctx); err != nil {
		return nil, err
	}
	return p, s.store.Record(ctx, p.event("evidence.export_begun"))
}

func (p *Pack) event(action string) audit.Event {
	e := audit.Event{
		Actor: p.by.Actor(), Action: action, Object: audit.Object{Kind: "evidence", ID: p.id, Name: PackFile}, Project: p.subject.Project, Reason: p.subject.Text,
		Detail: map[string]string{"kind": string(p.subject.Kind), "rows": strconv.Itoa(len(p.seqs)), "checkpoint": strconv.FormatInt(p.checkpoint.Size, 10)},
	}
	if p.problem != "" {
		e.Detail["problem"] = p.problem
	}
	if p.subject.ID != "" {
		e.Detail["subject"] = p.subject.ID
	}
	if p.subject.Kind == OfRequest {
		e.Request = p.subject.ID
	}
	return e
}

// Write writes the pack and records what came of it. It is whole only if there is
// no error.
func (p *Pack) Write(ctx context.Context, to io.Writer) (Receipt, error) {
	m := newMeter(to)
	err := p.write(ctx, m)
	if err == nil {
		err = m.out.Flush()
	}
	r := m.receipt(int64(len(p.seqs)))
	return r, errors.Join(err, p.service.done(ctx, p.event("evidence.exported"), r, err))
}

// gather collects the numbers of the entries and the requests that they are about.
func (p *Pack) gather(ctx context.Context) error {
	g := gathering{service: p.service, by: p.by.User, size: p.checkpoint.Size, seen: map[int64]bool{}, known: map[string]bool{}}
	s := p.subject
	var err error
	switch s.Kind {
	case OfRequest:
		err = g.request(ctx, s.ID)
	case OfConfig:
		if err = g.add(ctx, store.HistoryQuery{Project: s.Project, Object: s.ID}); err == nil {
			for _, id := range slices.Clone(g.requests) {
				err = errors.Join(err, g.request(ctx, id))
			}
		}
	case OfPerson:
		err = errors.Join(g.add(ctx, store.HistoryQuery{Actor: s.ID}), g.add(ctx, store.HistoryQuery{Object: s.ID}))
	case OfReview:
		err = errors.Join(g.add(ctx, store.HistoryQuery{Object: s.ID}), g.reviewed(ctx, s.ID))
	case OfSearch:
		err = g.add(ctx, s.Query)
	}
	if err != nil {
		return err
	}
	if len(g.seen) == 0 {
		return problem.New(problem.NotFound, "History has no entry about this, so there is no evidence to hand out.")
	}
	for seq := range g.seen {
		p.seqs = append(p.seqs, seq)
	}
	begin, err := p.service.store.HistoryBegin(ctx)
	if err != nil {
		return err
	}
	p.seqs = slices.DeleteFunc(p.seqs, func(seq int64) bool { return seq < begin }) // they are in archives, with proofs of their own
	if len(p.seqs) == 0 {
		return problem.New(problem.NotFound, "All entries about this are in archives by now, which prove themselves. There is nothing else to hand out.")
	}
	slices.Sort(p.seqs)
	p.requests = g.requests
	return nil
}

// A gathering collects entries, each once.
type gathering struct {
	service  *Service
	by       access.User // who may take them away
	size     int64
	seen     map[int64]bool
	known    map[string]bool
	requests []string
}

func (g *gathering) add(ctx context.Context, q store.HistoryQuery) error {
	q, err := g.service.store.ReadableFor(ctx, g.by, access.ExportHistory, q)
	if err != nil {
		return err
	}
	return g.service.store.HistoryWhole(ctx, q, g.size, func(page []audit.Entry) error {
		for _, e := range page {
			g.seen[e.Seq] = true
			if e.Request != "" && !g.known[e.Request] {
				g.known[e.Request] = true
				g.requests = append(g.requests, e.Request)
			}
		}
		if len(g.seen) > MaxRows {
			return problem.New(problem.Invalid, "That is more than 50,000 entries. Nothing was handed out. Choose a shorter period, or export the search as JSON lines.")
		}
		return nil
	})
}

// request adds the entries of a request and those by which its voters signed in.
func (g *gathering) request(ctx context.Context, id string) error {
	if err := g.add(ctx, store.HistoryQuery{Request: id}); err != nil {
		return err
	}
	r, err := g.service.store.Request(ctx, id)
	if problem.Is(err, problem.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, v := range r.Votes {
		q := store.HistoryQuery{Actor: v.Reviewer.ID, Action: "session.signed_in", From: v.SignedInAt.Add(-signInSlack), To: v.SignedInAt.Add(signInSlack)}
		if err := g.add(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// reviewed adds the entries that a review is about.
func (g *gathering) reviewed(ctx context.Context, id string) error {
	seqs, err := g.service.store.ReviewSeqs(ctx, id)
	for _, seq := range seqs {
		g.seen[seq] = true
	}
	return err
}

// signInSlack is how much later an entry can be than the session that it is about.
const signInSlack = 10 * time.Second
