package change_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/mirror"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// approved is a request that two reviewers could approve and one did.
func (b *board) approved(id string) change.Request {
	b.T.Helper()
	r := b.must(b.vote(b.anna, b.disable(id), change.Approve))
	b.state(r, change.Approved)
	return r
}

// An approval and an edit at once: whichever comes first, the edit isn't approved.
func TestApproveAgainstEdit(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	for i := range 10 {
		r := b.update(a.ID, change.Spec{Fields: map[string]string{"name": fmt.Sprintf("first %d", i)}})
		p := b.proposal()
		p.Revises, p.Version = r.ID, r.Version
		var voted, edited error
		vote := func() { _, voted = b.vote(b.anna, r, change.Approve) }
		edit := func() {
			_, edited = b.Changes.ProposeUpdate(t.Context(), b.editor, p, a.ID, change.Spec{Fields: map[string]string{"name": fmt.Sprintf("second %d", i)}}, nil)
		}
		switch i {
		case 0:
			vote()
			edit()
		case 1:
			edit()
			vote()
		default:
			var wg sync.WaitGroup
			wg.Go(vote)
			wg.Go(edit)
			wg.Wait()
		}
		now := b.must(b.Store.Request(t.Context(), r.ID))
		var moved *change.MovedOn
		switch {
		case voted == nil && edited == nil:
			t.Error("both went through, though the edit was of what nobody had approved")
		case voted == nil:
			b.state(now, change.Approved)
			if !errors.As(edited, &moved) {
				t.Errorf("the edit: %v", edited)
			}
		case edited == nil:
			b.state(now, change.InReview)
			if !errors.As(voted, &moved) || len(now.Votes) != 0 {
				t.Errorf("the vote: %v, %d are kept", voted, len(now.Votes))
			}
		}
		b.must(b.Changes.Cancel(t.Context(), b.editor, r.ID, ""))
	}
}

// Cancelled and applied at once: one of the two, and nothing is sent for what is cancelled.
func TestCancelAgainstApply(t *testing.T) {
	b := newBoard(t, approvals(1))
	sent := 0
	for i := range 6 {
		a := b.Config(rig.Enabled)
		r := b.approved(a.ID)
		var cancelled, applied error
		var wg sync.WaitGroup
		wg.Go(func() { _, applied = b.Changes.Release(t.Context(), b.editor, r.ID) })
		wg.Go(func() { _, cancelled = b.Changes.Cancel(t.Context(), b.editor, r.ID, "") })
		wg.Wait()
		now := b.Settled(r.ID)
		if now.State == change.Applied {
			sent++
		} else {
			b.state(now, change.Cancelled)
		}
		if (cancelled == nil) != (now.State == change.Cancelled) || cancelled != nil && applied != nil || len(b.Mutations()) != sent {
			t.Fatalf("round %d: %s, cancelling says %v, applying %v, %d mutations for %d", i, now.State, cancelled, applied, len(b.Mutations()), sent)
		}
	}
	b.Fail(sandbox.Fault{Kind: "timeout-before", Method: "PATCH"})
	r := b.approved(b.Config(rig.Enabled).ID)
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.Struck() // it is on its way
	_, err := b.Changes.Cancel(t.Context(), b.editor, r.ID, "")
	b.refused(err, problem.Conflict, "can't be cancelled")
	b.state(b.Settled(r.ID), change.Applied)
	b.consistent()
}

// Applied by two people at once, it is sent once.
func TestReleasedTwice(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.approved(b.Config(rig.Enabled).ID)
	results := make([]error, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { _, results[i] = b.Changes.Release(t.Context(), b.editor, r.ID) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		}
	}
	b.state(b.Settled(r.ID), change.Applied)
	if won != 1 || len(b.Mutations()) != 1 {
		t.Errorf("%d were told that it is applied, %d mutations", won, len(b.Mutations()))
	}
}

// A request that waits for another one on the same config has sent nothing, and
// can be cancelled.
func TestTargetTaken(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.Enabled)
	first, second := b.approved(a.ID), b.approved(a.ID)
	b.Fail(sandbox.Fault{Kind: "timeout-before", Method: "PATCH"})
	b.must(b.Changes.Release(t.Context(), b.editor, first.ID))
	b.Struck()
	b.must(b.Changes.Release(t.Context(), b.editor, second.ID))
	for b.Settled(first.ID); ; {
		one, two := b.must(b.Store.Request(t.Context(), first.ID)), b.must(b.Store.Request(t.Context(), second.ID))
		if one.State.Terminal() {
			break
		}
		if two.State == change.Applying {
			t.Fatal("both are being applied")
		}
	}
	b.must(b.Changes.Cancel(t.Context(), b.editor, second.ID, ""))
	if n := len(b.Mutations()); n != 1 {
		t.Errorf("%d mutations", n)
	}
	b.consistent()
}

// A role that is gone counts as gone, also while a session knows nothing of it.
func TestRoleRevokedMeanwhile(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	if err := setRoles(t.Context(), b.Store, b.anna.ID, access.Viewer); err != nil {
		t.Fatal(err)
	}
	for _, d := range []change.Decision{change.Approve, change.Reject, change.RequestChanges} {
		_, err := b.vote(b.anna, r, d) // with the roles that her session had
		b.refused(err, problem.Forbidden, "can't vote")
	}
	r = b.must(b.vote(b.anton, r, change.Approve))
	if err := setRoles(t.Context(), b.Store, b.anton.ID, access.Viewer); err != nil {
		t.Fatal(err)
	}
	_, err := b.Changes.Release(t.Context(), b.editor, r.ID)
	b.refused(err, problem.Conflict, "may not approve it any more")
	if err := b.Access.SetDisabled(t.Context(), access.Operator(), b.editor.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = b.Changes.Cancel(t.Context(), b.editor, r.ID, "")
	b.refused(err, problem.Forbidden, "account")
	if len(b.Mutations()) != 0 {
		t.Error("something was sent")
	}
}

// The clock jumps over a schedule and over the end of the approval at once, and
// nothing has looked meanwhile: it isn't applied, nor decided on.
func TestClockJumps(t *testing.T) {
	w := newWorld(t, 1)
	ctx, editor, reviewer := t.Context(), w.readers[0], w.readers[3]
	rule, err := w.changes.ProposePolicy(ctx, w.readers[6], "r", change.Policy{Subject: change.AboutConfigs, Project: w.project.ID, Steps: []change.PolicyStep{{{Count: 1}}}})
	w.must(err)
	w.must(w.changes.Step(ctx, rule.ID))
	propose := func(target string) change.Request {
		r, err := w.changes.ProposeSwitch(ctx, editor, change.Proposal{Project: w.project.ID, Reason: "r"}, []string{target}, false)
		w.must(err)
		return r
	}
	vote := func(r change.Request) error {
		_, err := w.changes.Vote(ctx, reviewer, r.ID, change.Ballot{Decision: change.Approve, EffectHash: r.Revision.EffectHash})
		return err
	}
	due, waiting := propose(w.targets[0]), propose(w.targets[1])
	w.must(vote(due))
	_, err = w.changes.Schedule(ctx, editor, due.ID, w.now.Add(71*time.Hour).Format("2006-01-02T15:04"), "UTC")
	w.must(err)
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.must(w.changes.Step(ctx, due.ID)) // a worker that was at it comes before the sweep
	if got, err := w.st.Request(ctx, due.ID); err != nil || got.State != change.Expired {
		t.Errorf("state %s, %v; want expired", got.State, err)
	}
	if err := vote(waiting); !problem.Is(err, problem.Conflict) {
		t.Errorf("a vote after the end: %v", err)
	}
	w.changes.Sweep(ctx)
	if got, err := w.st.Request(ctx, waiting.ID); err != nil || got.State != change.Expired {
		t.Errorf("state %s, %v; want expired", got.State, err)
	}
	if n := len(w.box.Journal().Mutations); n != 0 {
		t.Errorf("%d mutations", n)
	}
}

// The clock goes back between a vote and its withdrawal.
func TestClockGoesBack(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	rule, err := w.changes.ProposePolicy(ctx, w.readers[6], "r", change.Policy{Subject: change.AboutConfigs, Project: w.project.ID, Steps: []change.PolicyStep{{{Count: 2}}}})
	w.must(err)
	w.must(w.changes.Step(ctx, rule.ID))
	r, err := w.changes.ProposeSwitch(ctx, w.readers[0], change.Proposal{Project: w.project.ID, Reason: "r"}, []string{w.targets[0]}, false)
	w.must(err)
	vote := func(by access.Reader, d change.Decision) change.Request {
		got, err := w.changes.Vote(ctx, by, r.ID, change.Ballot{Decision: d, EffectHash: r.Revision.EffectHash})
		w.must(err)
		return got
	}
	vote(w.readers[3], change.Approve)
	w.now = w.now.Add(-time.Minute)
	vote(w.readers[3], change.Withdraw)
	if got := vote(w.readers[4], change.Approve); got.State != change.InReview {
		t.Errorf("state %s: a vote that was taken back counts", got.State)
	}
}

// Somebody edits at Composio between our read and our write: only the touched
// fields are sent, and the edit is recorded.
func TestEditBetweenReadAndWrite(t *testing.T) {
	b := newBoard(t, approvals(1))
	a := b.Config(rig.OwnOAuth)
	r := b.must(b.vote(b.anna, b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}}), change.Approve))
	b.Fail(sandbox.Fault{Kind: "latency=100ms", Method: "PATCH"})
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.Struck() // the read is over, the write is on its way
	b.edit(a.ID, `"is_enabled_for_tool_router":true`)
	b.state(b.Settled(r.ID), change.Applied)
	got := b.remote(a.ID)
	if body := string(b.Mutations()[0].Body); got.Name != "mine" || strings.Contains(body, "tool_router") || strings.Contains(body, "scopes") {
		t.Errorf("sent %s, name %q", body, got.Name)
	}
	if live := b.Config(func(x mirror.AuthConfig) bool { return x.ID == a.ID }); live.ToolRouter == nil || !*live.ToolRouter {
		t.Error("the edit made meanwhile was overwritten, or isn't known")
	}
	b.outside("auth_config.changed_outside", a.ID, mirror.FieldToolRouter)
	b.consistent()
}

// What waits sealed is what was approved, or nothing is sent.
func TestSealedCredentialReplaced(t *testing.T) {
	for name, statement := range map[string]string{
		"gone":     "DELETE FROM sealed_credential WHERE request_id = $1",
		"replaced": "UPDATE sealed_credential SET sealed = (SELECT sealed FROM sealed_credential WHERE request_id <> $1) WHERE request_id = $1",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard(t, approvals(1))
			a := b.Config(rig.OwnOAuth)
			r := b.update(a.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary)}})
			b.update(a.ID, change.Spec{Credentials: map[string]secret.Value{"client_secret": secret.New(canary + "other")}})
			r = b.must(b.vote(b.anna, r, change.Approve))
			db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), strings.ReplaceAll(statement, "$1", "?1"), r.ID); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
			b.state(b.Settled(r.ID), change.Failed)
			if len(b.Mutations()) != 0 {
				t.Errorf("sent %s", b.Mutations()[0].Body)
			}
		})
	}
}

// An intent is on record before anything is sent, whatever comes after.
func TestIntentFirst(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.approved(b.Config(rig.Enabled).ID)
	b.Fail(sandbox.Fault{Kind: "timeout-before", Method: "PATCH"})
	b.must(b.Changes.Release(t.Context(), b.editor, r.ID))
	b.Struck()
	a, err := b.Store.LastAttempt(t.Context(), r.ID, 1, 0)
	if n := len(b.History(store.HistoryQuery{Action: "apply.intent"})); err != nil || a.Number != 1 || n != 1 {
		t.Errorf("attempt %d, %d intents in history, %v", a.Number, n, err)
	}
	b.state(b.Settled(r.ID), change.Applied)
}

// Where history can't be written, nothing happens.
func TestHistoryOrNothing(t *testing.T) {
	b := newBoard(t, approvals(1))
	r := b.disable(b.Config(rig.Enabled).ID)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(b.Dir, store.DatabaseFile)+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.vote(b.anna, r, change.Approve); err == nil {
		t.Error("a vote counts without an entry")
	}
	if _, err := b.Changes.Cancel(t.Context(), b.editor, r.ID, ""); err == nil {
		t.Error("cancelled without an entry")
	}
	if now := b.must(b.Store.Request(t.Context(), r.ID)); now.State != change.InReview || len(now.Votes) != 0 || now.Version != r.Version {
		t.Errorf("state %s, %d votes", now.State, len(now.Votes))
	}
}

// A request that went stale waits as long as its project lets requests wait.
func TestStaleLife(t *testing.T) {
	r := rig.Bare(t, sandbox.Options{})
	r.Project = r.AddProject("staging", sandbox.StagingKey, mirror.Development)
	b := &bench{r, r.Person("Emil", access.Editor)}
	a := b.Config(rig.OwnOAuth)
	b.edit(a.ID, `"name":"changed elsewhere"`)
	stale := b.update(a.ID, change.Spec{Fields: map[string]string{"name": "mine"}})
	b.state(stale, change.InReview)
	if left := stale.ExpiresAt.Sub(rig.Now()); left < 29*24*time.Hour {
		t.Errorf("it waits for %s", left)
	}
}
