package evidence

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/problem"
)

// A requestFile is a change request as the database has it: what was wanted, who
// agreed, under which rules, and what came of it. Credentials are not in it; they
// are named by fingerprints.
type requestFile struct {
	ID        string            `json:"id"`
	Project   string            `json:"project"`
	Title     string            `json:"title"`
	Reason    string            `json:"reason"`
	Author    string            `json:"author"`
	CreatedAt string            `json:"created_at"`
	Revisions []change.Revision `json:"revisions"`
	Policies  []change.Policy   `json:"policies_at_submission"`
	Votes     []voteFile        `json:"votes"`
	Bypass    *change.Bypass    `json:"bypass"`
	Outcome   outcomeFile       `json:"outcome"`
}

type voteFile struct {
	Reviewer        string `json:"reviewer"`
	Decision        string `json:"decision"`
	Reason          string `json:"reason"`
	At              string `json:"at"`
	Revision        int    `json:"revision"`
	Effect          string `json:"effect"`
	AuthenticatedBy string `json:"authenticated_by"`
	SignedInAt      string `json:"signed_in_at"`
}

type outcomeFile struct {
	State   string            `json:"state"`
	Note    string            `json:"note"`
	EndedAt string            `json:"ended_at"`
	Items   []change.Progress `json:"items"`
}

// addRequest adds a change request to a bundle. Those that were never handed in
// are their author's alone.
func (p *Pack) addRequest(ctx context.Context, b *bundle, id string) error {
	r, err := p.service.store.Request(ctx, id)
	if problem.Is(err, problem.NotFound) || err == nil && r.Private() {
		return nil
	}
	if err != nil {
		return err
	}
	f := requestFile{
		ID: r.ID, Project: r.Project, Title: r.Title, Reason: r.Reason, Author: r.Author.ID, CreatedAt: stamp(r.CreatedAt),
		Policies: r.Policies, Votes: []voteFile{}, Bypass: r.Bypass, Outcome: outcomeFile{string(r.State), r.Note, stamp(r.EndedAt), r.Progress},
	}
	if f.Revisions, err = p.service.store.Revisions(ctx, id); err != nil {
		return err
	}
	for _, v := range r.Votes {
		f.Votes = append(f.Votes, voteFile{v.Reviewer.ID, string(v.Decision), v.Reason, stamp(v.At), v.Revision, v.EffectHash, v.Authenticated, stamp(v.SignedInAt)})
	}
	return b.json("requests/"+r.ID+".json", f)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(audit.TimeFormat)
}
