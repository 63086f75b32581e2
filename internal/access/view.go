package access

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// A View is a session in which somebody who manages people looks at pages as a role
// sees them, and changes nothing.
type View struct {
	Grant Grant
	Began time.Time
}

// On reports whether pages are seen that way.
func (v View) On() bool { return v.Grant.Role != "" }

// reads are the permissions by which more is read, in forms too. A view gives none
// that its person doesn't have.
var reads = append([]Permission{ViewConfigs, ViewHistory, ViewPersonal, ExportHistory, ReviewHistory, ViewPeople, ViewSettings}, managing...)

// As is the user as they see pages in a view. Of some projects only named roles read
// the history, so that seeing it as another role takes that one may see it all.
func (u User) As(v View) User {
	g := v.Grant
	at := Place{Project: g.Scope.Project, Environment: g.Scope.Environment, Toolkit: g.Scope.Toolkit}
	g.Allows = slices.DeleteFunc(slices.Clone(g.Allows), func(p Permission) bool {
		return slices.Contains(reads, p) && !u.MayIn(p, at) || p == ViewHistory && !u.May(ViewPersonal) && !u.Has(g.Role)
	})
	u.Grants, u.Groups = []Grant{g}, nil
	return u
}

// ViewStore keeps views.
type ViewStore interface {
	// SetView begins the view of a session, or ends it where the view isn't on.
	SetView(ctx context.Context, sessionID string, v View, e audit.Event) error
}

// ViewAs has the reader's session see pages as somebody with a grant.
func (s *Service) ViewAs(ctx context.Context, r Reader, g Grant) error {
	if err := r.Check(ManagePeople); err != nil {
		return err
	}
	if len(g.Allows) == 0 || g.Scope != Everywhere && !slices.ContainsFunc(g.Allows, Permission.InProjects) {
		return problem.InvalidFields("Nothing was changed.", map[string]string{"role": "Choose from the roles that are listed."})
	}
	return s.store.SetView(ctx, r.Session, View{g, s.now()}, r.viewEvent("session.view_began", g))
}

// EndView has the reader's session see pages as they are for its person.
func (s *Service) EndView(ctx context.Context, r Reader, v View) error {
	return s.store.SetView(ctx, r.Session, View{}, r.viewEvent("session.view_ended", v.Grant))
}

func (r Reader) viewEvent(action string, g Grant) audit.Event {
	return audit.Event{Actor: r.Actor(), Action: action, Object: audit.Object{Kind: "session", ID: r.Session, Name: r.Name}, Detail: map[string]string{"view": g.String()}}
}
