package change

import (
	"context"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// maxGuesses is how often one reviewer may compare a value on one request.
const maxGuesses = 5

// Match tells a reviewer whether a value is the one that waits to be sent. Each
// try is recorded, and there are few of them.
func (s *Service) Match(ctx context.Context, by access.Reader, id string, item int, field string, value secret.Value) (bool, error) {
	same := false
	value = secret.New(strings.TrimSpace(value.Reveal()))
	if value.Empty() {
		return false, problem.InvalidFields("Nothing was compared.", map[string]string{"value": "Paste the value to compare."})
	}
	err := s.store.RecordGuess(ctx, id, by.ID, func(r *Request, before int) (audit.Event, error) {
		by = r.reader(by)
		switch {
		case !by.May(access.ViewConfigs):
			return audit.Event{}, notFound()
		case !by.May(access.ApproveChange) || r.contributed(by.ID):
			return audit.Event{}, problem.New(problem.Forbidden, "Only reviewers of this change request can compare its credentials.")
		case !r.State.Waiting():
			return audit.Event{}, problem.New(problem.Conflict, "The value doesn't wait any more.")
		case item < 0 || item >= len(r.Revision.Items):
			return audit.Event{}, problem.New(problem.NotFound, "This change request has no such part.")
		case before >= maxGuesses:
			return audit.Event{}, problem.New(problem.TooMany, "You have compared 5 times on this change request. That is all.")
		}
		credentials := r.Revision.Items[item].Credentials
		i := slices.IndexFunc(credentials, func(c Credential) bool { return c.Field == field })
		if i < 0 {
			return audit.Event{}, problem.New(problem.NotFound, "This change request sets no such credential.")
		}
		same = credentials[i].Fingerprint == s.keys.Fingerprint(value, r.Project, field)
		e := r.event(by.Actor(), "change.credential_compared")
		e.Detail["field"], e.Detail["match"] = field, "no"
		if same {
			e.Detail["match"] = "yes"
		}
		return e, nil
	})
	return same, err
}
