package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// Who takes part in change requests. The reviewer is whose inbox is measured.
const (
	reviewer = "rita@example.com"
	editors  = 20
	voters   = 20
	leads    = 2
)

// One of so many change requests is open; half of the waiting ones are for the
// reviewer.
const openOneOf = 20

// A team is the people of the data directory, with the services they use.
type team struct {
	store    *store.Store
	changes  *change.Service
	project  string
	configs  []mirror.AuthConfig
	admin    access.Reader
	reviewer access.Reader
	editors  []access.Reader
	voters   []access.Reader
}

// fillRequests makes change requests as a team would, through the same service,
// so that all of them are what people could have made.
func (b *bench) fillRequests(ctx context.Context) (err error) {
	st, err := store.Open(b.dataDir(), store.Options{Log: b.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	t, err := b.newTeam(ctx, st)
	if err != nil {
		return err
	}
	if err := t.govern(ctx); err != nil {
		return err
	}
	err = parallel(64, b.requests, func(n int) error {
		if n%openOneOf == 0 {
			return t.open(ctx, n)
		}
		return t.ended(ctx, n)
	})
	if err != nil {
		return err
	}
	if b.dossier, err = t.long(ctx); err != nil {
		return err
	}
	return told(ctx, st)
}

// parallel calls do for all numbers below n.
func parallel(workers, n int, do func(int) error) error {
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		failed error
	)
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				if err := do(i); err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	return failed
}

func (b *bench) newTeam(ctx context.Context, st *store.Store) (*team, error) {
	keys, err := secret.NewKeyring(make([]byte, secret.KeySize))
	if err != nil {
		return nil, err
	}
	m := mirror.NewService(st, keys, mirror.Settings{SyncInterval: time.Hour, APIVersion: "v3.1", Timeout: time.Second}, clock, b.log)
	t := &team{store: st, changes: change.NewService(st, m, keys, change.Settings{Grace: time.Minute, Lease: time.Minute}, clock, b.log)}
	project, err := st.ProjectBySlug(ctx, slug)
	if err != nil {
		return nil, err
	}
	t.project = project.ID
	snapshot, err := st.Snapshot(ctx, project.ID)
	if err != nil {
		return nil, err
	}
	for a := range snapshot.All {
		t.configs = append(t.configs, a)
	}
	return t, t.join(ctx)
}

// join adds the people. All have the first one's passphrase.
func (t *team) join(ctx context.Context) error {
	ada, err := t.store.AccountByEmail(ctx, email)
	if err != nil {
		return err
	}
	t.admin = access.Reader{User: ada.User}
	add := func(mail, name string, roles ...access.Role) access.Reader {
		a := access.Account{User: access.User{ID: "usr_" + secret.Code(16), Email: mail, Name: name, Grants: access.Unscoped(roles...), State: access.Active, CreatedAt: clock()}, Passphrase: ada.Passphrase}
		err = errors.Join(err, t.store.AddAccount(ctx, a, nil, audit.Event{Actor: audit.System(), Action: "user.added", Object: audit.Object{Kind: "user", ID: a.ID, Name: name}}))
		return access.Reader{User: a.User, ProvedAt: clock()}
	}
	t.reviewer = add(reviewer, "Rita Reviewer", access.Approver, access.Editor)
	for i := range editors {
		t.editors = append(t.editors, add(fmt.Sprintf("e%d@example.com", i), fmt.Sprintf("Editor %d", i), access.Editor))
	}
	for i := range voters {
		t.voters = append(t.voters, add(voter(i), fmt.Sprintf("Voter %d", i), access.Approver))
	}
	for i := range leads {
		add(fmt.Sprintf("l%d@example.com", i), fmt.Sprintf("Lead %d", i), access.Approver, access.Admin)
	}
	return err
}

func voter(i int) string { return fmt.Sprintf("v%d@example.com", i) }

// govern makes policies: three people agree to an edit, two admins to a switch.
func (t *team) govern(ctx context.Context) error {
	steps := func(n change.Need) []change.PolicyStep { return []change.PolicyStep{{n}} }
	r, err := t.changes.ProposePolicies(ctx, t.admin, "As a busy team has them.", "Add policies", []change.Policy{
		{Subject: change.AboutConfigs, Project: t.project, Operations: []change.Operation{change.Update}, Steps: steps(change.Need{Count: 3})},
		{Subject: change.AboutConfigs, Project: t.project, Operations: []change.Operation{change.Enable, change.Disable}, Steps: steps(change.Need{Count: leads, Roles: []access.Role{access.Admin}})},
	})
	if err != nil {
		return err
	}
	t.changes.Settled(ctx, r.ID)
	if r, err = t.store.Request(ctx, r.ID); err == nil && r.State != change.Applied {
		err = fmt.Errorf("the policies are %s", r.State)
	}
	return err
}

func (t *team) proposal() change.Proposal {
	return change.Proposal{Project: t.project, Reason: "The team that owns it asked for this, see the ticket."}
}

func (t *team) edit(ctx context.Context, by access.Reader, n int) (change.Request, error) {
	a := t.configs[n%len(t.configs)]
	return t.changes.ProposeUpdate(ctx, by, t.proposal(), a.ID, change.Spec{Fields: map[string]string{mirror.FieldName: fmt.Sprintf("%s-%d", a.Name, n)}}, nil)
}

func (t *team) vote(ctx context.Context, by access.Reader, r change.Request, d change.Decision) error {
	_, err := t.changes.Vote(ctx, by, r.ID, change.Ballot{Decision: d, EffectHash: r.Revision.EffectHash, Reason: "Looked at it together."})
	return err
}

// open makes a request that stays open: of ten, four wait for the reviewer, two
// have their vote, one is theirs and three wait for the leads.
func (t *team) open(ctx context.Context, n int) error {
	by, other := t.editors[n%editors], t.voters[n%voters]
	switch n / openOneOf % 10 {
	case 0, 1:
		_, err := t.edit(ctx, by, n)
		return err
	case 2, 3:
		r, err := t.edit(ctx, by, n)
		return errors.Join(err, t.vote(ctx, other, r, change.Approve))
	case 4, 5:
		r, err := t.edit(ctx, by, n)
		return errors.Join(err, t.vote(ctx, t.reviewer, r, change.Approve))
	case 6:
		r, err := t.edit(ctx, t.reviewer, n)
		return errors.Join(err, t.vote(ctx, other, r, change.Approve))
	}
	a := t.configs[n%len(t.configs)]
	_, err := t.changes.ProposeSwitch(ctx, by, t.proposal(), []string{a.ID}, !a.Enabled())
	return err
}

// ended makes a request that is over: most were voted on, some cancelled.
func (t *team) ended(ctx context.Context, n int) error {
	by := t.editors[n%editors]
	if n%17 == 1 {
		by = t.reviewer
	}
	r, err := t.edit(ctx, by, n)
	if err != nil {
		return err
	}
	if n%6 == 1 && by.ID != t.reviewer.ID {
		err = t.vote(ctx, t.reviewer, r, change.Approve)
	}
	if n%4 == 3 {
		_, cerr := t.changes.Cancel(ctx, by, r.ID, "")
		return errors.Join(err, cerr)
	}
	return errors.Join(err, t.vote(ctx, t.voters[n%voters], r, change.Reject))
}

// long makes the request whose page is measured, and returns its id.
func (t *team) long(ctx context.Context) (string, error) {
	by := t.editors[0]
	r, err := t.edit(ctx, by, 1)
	if err != nil {
		return "", err
	}
	a, next := t.configs[1], t.proposal()
	next.Revises, next.Version = r.ID, r.Version
	if r, err = t.changes.ProposeUpdate(ctx, by, next, a.ID, change.Spec{Fields: map[string]string{mirror.FieldName: a.Name + "-again"}}, nil); err != nil {
		return "", err
	}
	for i := range 2 {
		err = errors.Join(err, t.vote(ctx, t.voters[i], r, change.Approve))
	}
	for i := range 10 {
		err = errors.Join(err, t.changes.Comment(ctx, []access.Reader{by, t.voters[i], t.reviewer}[i%3], r.ID, -1, "", remark(i)))
	}
	return r.ID, err
}

// told empties the outbox, as if everybody had heard of everything.
func told(ctx context.Context, st *store.Store) error {
	for {
		seqs, err := st.Outbox(ctx, 10_000)
		if err != nil || len(seqs) == 0 {
			return err
		}
		if err := parallel(64, len(seqs), func(i int) error { return st.Spread(ctx, seqs[i], nil, nil) }); err != nil {
			return err
		}
	}
}
