package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/problem"
)

// A FormOp is one sending of a form. Its id was issued with the form, for one
// person and one action; the first write that it leads to uses it up.
type FormOp struct {
	ID      string
	User    access.User // who sent it, as the request's permission was found
	Session string      // empty with Token
	Token   string      // tok_…, for what came through the JSON API
	Digest  []byte      // keyed hash of what was sent
}

// A RepeatedError says that a form was sent before. Location is where the first
// sending led to, empty while that isn't known.
type RepeatedError struct{ Location string }

// Error implements error.
func (*RepeatedError) Error() string { return "the form was sent before" }

type formOpKey struct{}

// pendingOp is the operation of one HTTP request, whose first write uses it up.
type pendingOp struct {
	FormOp
	used bool // touched by the writer, while the request waits
}

// WithFormOp makes the next write under ctx use up the operation.
func WithFormOp(ctx context.Context, op FormOp) context.Context {
	return context.WithValue(ctx, formOpKey{}, &pendingOp{FormOp: op})
}

// FormOpUsed reports whether a write under ctx used up the operation.
func FormOpUsed(ctx context.Context) bool {
	op, ok := ctx.Value(formOpKey{}).(*pendingOp)
	return ok && op.used
}

// useOp uses up the form operation that ctx carries, unless an earlier write of
// the same request did. Another request that used it first is told by the error.
func (t *tx) useOp(ctx context.Context) error {
	op, ok := ctx.Value(formOpKey{}).(*pendingOp)
	if !ok || op.used {
		return nil
	}
	if err := t.stillIs(op.FormOp); err != nil {
		return err
	}
	n, err := t.affected(`INSERT INTO form_op (id, user_id, digest, location, created_at) VALUES ($1, $2, $3, '', $4)
		ON CONFLICT (id) DO NOTHING`, op.ID, op.User.ID, op.Digest, micros(t.now))
	if err != nil || n == 1 {
		t.op = op
		return err
	}
	return formOpTaken(op.FormOp, t.row(formOpQuery, op.ID))
}

// opLed remembers what a program's request led to, in the transaction of that: it
// gets the same answer when it asks again, whatever happened between.
func (t *tx) opLed(location string) error {
	if t.op == nil || t.op.Token == "" {
		return nil
	}
	return t.exec("UPDATE form_op SET location = $2 WHERE id = $1", t.op.ID, location)
}

// stillIs makes sure that who sent a form still may what they might when the
// request began.
func (t *tx) stillIs(op FormOp) error {
	u, session := op.User, op.Session
	a, err := t.account(u.ID)
	if err != nil {
		return err
	}
	if op.Token != "" {
		return t.stillGood(op, a.User)
	}
	var there int
	if err := t.row("SELECT count(*) FROM session WHERE id = $1", session).Scan(&there); err != nil {
		return err
	}
	if a.State != access.Active || !a.SameGrants(u) || there == 0 {
		return problem.New(problem.Forbidden, "Your session ended or your roles changed at this very moment. Nothing was changed. Open the page again to see what you may do.")
	}
	return nil
}

// CheckFormOp reports a form that was sent before: a [RepeatedError] if it said
// the same, a Conflict if not.
func (s *Store) CheckFormOp(ctx context.Context, op FormOp) error {
	return formOpTaken(op, s.row(ctx, formOpQuery, op.ID))
}

const formOpQuery = "SELECT digest, location FROM form_op WHERE id = $1"

func formOpTaken(op FormOp, row scanner) error {
	var digest []byte
	var location string
	err := row.Scan(&digest, &location)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case !bytes.Equal(digest, op.Digest):
		return problem.New(problem.Conflict, "This form was sent before with something else in it. Nothing was changed this time. Open the page again to see how things stand.")
	}
	return &RepeatedError{location}
}

// FinishFormOp remembers where a form's answer led to. The person's draft of the
// page, if that isn't empty, has done its service.
func (s *Store) FinishFormOp(ctx context.Context, op FormOp, location, page string) error {
	return s.quiet(ctx, formDrafts, func(t *tx) error {
		return errors.Join(
			t.exec("UPDATE form_op SET location = $2 WHERE id = $1", op.ID, location),
			t.exec("DELETE FROM form_draft WHERE user_id = $1 AND path = $2", op.User.ID, page),
		)
	})
}

// Keep house: what has ended is removed some time later.
const (
	opLife      = 7 * 24 * time.Hour
	sessionKeep = 7 * 24 * time.Hour // after its creation
	pendingKeep = 24 * time.Hour
	guessKeep   = 30 * 24 * time.Hour
	noticeKeep  = 90 * 24 * time.Hour
	givenUpKeep = 30 * 24 * time.Hour
	flushEvery  = 15 * time.Second
	tidyEvery   = time.Hour
)

// Run writes last-seen times and removes what has long ended, as long as ctx lasts.
func (s *Store) Run(ctx context.Context) {
	var erasing sync.WaitGroup
	erasing.Go(func() { s.keepErased(ctx) })
	defer erasing.Wait()
	flush, tidy := time.NewTicker(flushEvery), time.NewTicker(tidyEvery)
	defer flush.Stop()
	defer tidy.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			err = s.flushLastSeen()
		case <-tidy.C:
			err = s.tidy(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("keep the database tidy", "err", err)
		}
	}
}

func (s *Store) tidy(ctx context.Context) error {
	return s.quiet(ctx, housekeeping, func(t *tx) error {
		before := func(d time.Duration) int64 { return micros(t.now.Add(-d)) }
		return errors.Join(
			t.exec("DELETE FROM session WHERE created_at < $1", before(sessionKeep)),
			t.exec("DELETE FROM device WHERE seen_at < $1", before(access.DeviceLife)),
			t.exec("DELETE FROM one_time_link WHERE expires_at < $1", micros(t.now)),
			t.exec("DELETE FROM pending_sign_in WHERE created_at < $1", before(pendingKeep)),
			t.exec("DELETE FROM spent_challenge WHERE expires_at < $1", micros(t.now)),
			t.exec("DELETE FROM api_token WHERE expires_at < $1", before(access.TokenKept)),
			t.exec("DELETE FROM guess WHERE last < $1", before(guessKeep)),
			t.exec("DELETE FROM spent_ticket WHERE expires_at < $1", micros(t.now)),
			t.exec("DELETE FROM form_op WHERE created_at < $1", before(opLife)),
			t.exec("DELETE FROM form_draft WHERE created_at < $1", before(draftLife)),
			t.exec("DELETE FROM notification WHERE created_at < $1", before(noticeKeep)),
			t.exec("DELETE FROM delivery WHERE given_up AND created_at < $1", before(givenUpKeep)),
		)
	})
}
