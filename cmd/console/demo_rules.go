package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/mirror"
)

// A cast is the demo's people at work in its production project.
type cast struct {
	*services
	ctx     context.Context
	project mirror.Project
	configs []mirror.AuthConfig // enabled ones
	github  mirror.AuthConfig   // one of GitHub
}

// someRules sets the rules of the production project, and leaves requests there
// at every stage of approval.
func someRules(ctx context.Context, c *services) error {
	d := cast{services: c, ctx: ctx}
	var err error
	if d.project, err = c.store.ProjectBySlug(ctx, "production"); err != nil {
		return err
	}
	if err := d.setRules(); err != nil {
		return fmt.Errorf("demo rules: %w", err)
	}
	if err := c.mirror.Sync(ctx, d.project.ID); err != nil {
		return err
	}
	snapshot, err := c.store.Snapshot(ctx, d.project.ID)
	if err != nil {
		return err
	}
	for a := range snapshot.All {
		if a.Enabled() && a.Toolkit == "github" {
			d.github = a
		}
		if a.Enabled() && len(d.configs) < 4 {
			d.configs = append(d.configs, a)
		}
	}
	if len(d.configs) < 4 {
		return nil
	}
	for _, scene := range []func() error{d.applied, d.widened, d.changesRequested, d.halfApproved, d.waiting} {
		if err := scene(); err != nil {
			return fmt.Errorf("demo requests: %w", err)
		}
	}
	return nil
}

// as is one of the demo's people, who has just signed in.
func (d cast) as(email string) (access.Reader, error) {
	a, err := d.store.AccountByEmail(d.ctx, email)
	return access.Reader{User: a.User, ProvedAt: now(), Origin: access.Origin{IP: "127.0.0.1", Agent: "demo"}}, err
}

// rest waits until a request has come to rest.
func (d cast) rest(r change.Request) {
	wait, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	d.changes.Settled(wait, r.ID)
}

// setRules makes the group, the break-glass list and, last, the policies: from
// then on the rules take approvals themselves.
func (d cast) setRules() error {
	people := map[string]access.Reader{}
	for _, p := range demoPeople {
		who, err := d.as(p.email)
		if err != nil {
			return err
		}
		people[p.email] = who
	}
	admin := people["admin@example.com"]
	security := []string{people["approver@example.com"].ID, people["approver2@example.com"].ID}
	slices.Sort(security)
	rules, err := d.store.Rules(d.ctx)
	if err != nil {
		return err
	}
	var instead []string
	for _, p := range rules.Policies {
		if p.Project == d.project.ID {
			instead = append(instead, p.ID)
		}
	}
	for _, propose := range []func() (change.Request, error){
		func() (change.Request, error) {
			return d.changes.ProposeGroup(d.ctx, admin, "Who looks at what could open doors", access.Group{Name: "Security", Members: security})
		},
		func() (change.Request, error) {
			return d.changes.ProposeBreakGlass(d.ctx, admin, "Edda is on call", []string{people["editor2@example.com"].ID})
		},
		func() (change.Request, error) {
			return d.changes.ProposePolicies(d.ctx, admin, "What we agreed on for production", "Use the recommended policies in "+d.project.Name, change.Recommended(d.project.ID, len(security)), instead...)
		},
	} {
		r, err := propose()
		if err != nil {
			return err
		}
		d.rest(r)
	}
	return nil
}

// vote lets a reviewer decide about a request.
func (d cast) vote(email string, r change.Request, decision change.Decision, reason string) (change.Request, error) {
	who, err := d.as(email)
	if err != nil {
		return r, err
	}
	return d.changes.Vote(d.ctx, who, r.ID, change.Ballot{Decision: decision, EffectHash: r.Revision.EffectHash, Reason: reason})
}

// applied is a rename that was approved and carried out.
func (d cast) applied() error {
	emil, err := d.as("editor@example.com")
	if err != nil {
		return err
	}
	a := d.configs[0]
	r, err := d.changes.ProposeUpdate(d.ctx, emil, d.proposal("Named after the team that owns it now"), a.ID, change.Spec{Fields: map[string]string{mirror.FieldName: a.Name + "-platform"}}, nil)
	if err != nil {
		return err
	}
	if r, err = d.vote("approver@example.com", r, change.Approve, "The team asked me for it, too."); err != nil {
		return err
	}
	if r, err = d.changes.Release(d.ctx, emil, r.ID); err == nil {
		d.rest(r)
	}
	return err
}

// widened is an auth config that got another scope, as two people agreed.
func (d cast) widened() error {
	emil, err := d.as("editor@example.com")
	if err != nil || d.github.ID == "" {
		return err
	}
	scopes := strings.Join(append(slices.Clone(d.github.Scopes.Values), "read:org"), " ")
	r, err := d.changes.ProposeUpdate(d.ctx, emil, d.proposal("The release bot has to see who is in a team"), d.github.ID, change.Spec{Fields: map[string]string{mirror.FieldScopes: scopes}}, nil)
	if err != nil {
		return err
	}
	for _, who := range []string{"approver@example.com", "approver2@example.com"} {
		if r, err = d.vote(who, r, change.Approve, ""); err != nil {
			return err
		}
	}
	if r, err = d.changes.Release(d.ctx, emil, r.ID); err == nil {
		d.rest(r)
	}
	return err
}

func (d cast) proposal(reason string) change.Proposal {
	return change.Proposal{Project: d.project.ID, Reason: reason}
}

// changesRequested is a rename that a reviewer wants to be another.
func (d cast) changesRequested() error {
	emil, err := d.as("editor@example.com")
	if err != nil {
		return err
	}
	a := d.configs[1]
	r, err := d.changes.ProposeUpdate(d.ctx, emil, d.proposal("Follow the new naming scheme"), a.ID, change.Spec{Fields: map[string]string{mirror.FieldName: a.Name + " (prod)"}}, nil)
	if err != nil {
		return err
	}
	anton, err := d.as("approver2@example.com")
	if err != nil {
		return err
	}
	if err := d.changes.Comment(d.ctx, anton, r.ID, 0, mirror.FieldName, "The scheme has no brackets: team-toolkit-environment."); err != nil {
		return err
	}
	_, err = d.vote("approver2@example.com", r, change.RequestChanges, "Please use the name that the scheme asks for.")
	return err
}

// halfApproved is a delete that one of two has approved.
func (d cast) halfApproved() error {
	edda, err := d.as("editor2@example.com")
	if err != nil {
		return err
	}
	a := d.configs[2]
	r, err := d.changes.ProposeDelete(d.ctx, edda, d.proposal("The contract with the vendor ended in spring"), a.ID, a.Name, true, false)
	if err != nil {
		return err
	}
	_, err = d.vote("approver@example.com", r, change.Approve, "")
	return err
}

// waiting is a switch that nobody has looked at yet.
func (d cast) waiting() error {
	emil, err := d.as("editor@example.com")
	if err != nil {
		return err
	}
	_, err = d.changes.ProposeSwitch(d.ctx, emil, d.proposal("Nobody has connected through it for months"), []string{d.configs[3].ID}, false)
	return err
}
