package access

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/problem"
)

func person(grants ...Grant) User { return User{ID: "usr_1", State: Active, Grants: grants} }

var (
	shop    = Place{Project: "prj_shop", Environment: "production"}
	shopGit = Place{Project: "prj_shop", Environment: "production", Toolkit: "github"}
	blog    = Place{Project: "prj_blog", Environment: "staging"}
	nowhere = Place{}
)

func TestMayIn(t *testing.T) {
	tests := map[string]struct {
		scope  Scope
		in     []Place // all of it
		within []Place // some of it
	}{
		"everywhere":            {Everywhere, []Place{shop, shopGit, blog, nowhere}, []Place{shop, shopGit, blog, nowhere}},
		"a project":             {Scope{Project: "prj_shop"}, []Place{shop, shopGit}, []Place{shop, shopGit}},
		"an environment":        {Scope{Environment: "staging"}, []Place{blog}, []Place{blog}},
		"a toolkit":             {Scope{Toolkit: "github"}, []Place{shopGit}, []Place{shop, shopGit, blog}},
		"a toolkit of one":      {Scope{Project: "prj_shop", Toolkit: "github"}, []Place{shopGit}, []Place{shop, shopGit}},
		"another toolkit":       {Scope{Project: "prj_shop", Toolkit: "slack"}, nil, []Place{shop}},
		"what no project is in": {Scope{Environment: "development"}, nil, nil},
	}
	for name, tt := range tests {
		u := person(NewGrant(Editor, tt.scope))
		for _, at := range []Place{shop, shopGit, blog, nowhere} {
			if got, want := u.MayIn(ProposeChange, at), slices.Contains(tt.in, at); got != want {
				t.Errorf("%s: may in %+v: %v", name, at, got)
			}
			if got, want := u.MayWithin(ProposeChange, at), slices.Contains(tt.within, at); got != want {
				t.Errorf("%s: may within %+v: %v", name, at, got)
			}
			if got, want := u.At(at).May(ProposeChange), slices.Contains(tt.in, at); got != want {
				t.Errorf("%s: at %+v: %v", name, at, got)
			}
			if got, want := u.At(at).Has(Editor), slices.Contains(tt.in, at); got != want {
				t.Errorf("%s: is an editor at %+v: %v", name, at, got)
			}
			if u.MayIn(ApproveChange, at) || u.At(at).May(ApproveChange) {
				t.Errorf("%s: an editor approves at %+v", name, at)
			}
		}
		if !u.May(ProposeChange) {
			t.Errorf("%s: may nowhere", name)
		}
		u.State = Disabled
		if u.May(ProposeChange) || u.MayIn(ProposeChange, shopGit) || u.MayWithin(ProposeChange, shopGit) || u.At(shopGit).May(ProposeChange) {
			t.Errorf("%s: a disabled person may something", name)
		}
	}
}

// What is of no project takes a grant that holds everywhere.
func TestUnscopedPermissions(t *testing.T) {
	for _, r := range Roles() {
		u := person(NewGrant(r, Scope{Project: shop.Project}))
		for _, p := range r.Permissions() {
			if got := u.May(p); got != p.InProjects() {
				t.Errorf("%s in a project: may %s: %v", r, p, got)
			}
			if !p.InProjects() && (u.MayIn(p, shop) || u.At(shop).May(p) || u.Within(shop).May(p)) {
				t.Errorf("%s in a project may %s there", r, p)
			}
			if all := person(NewGrant(r, Everywhere)); !all.May(p) || !all.MayIn(p, shopGit) || !all.MayIn(p, nowhere) {
				t.Errorf("%s everywhere may not %s", r, p)
			}
		}
	}
}

// Two places take what is held in both, by one role or by two.
func TestAtSeveralPlaces(t *testing.T) {
	slack := shopGit
	slack.Toolkit = "slack"
	custom := Grant{Role: "rol_1", Name: "Slack approvers", Allows: []Permission{ViewConfigs, ApproveChange}, Scope: Scope{Toolkit: "slack"}}
	one := person(NewGrant(Approver, Scope{Toolkit: "github"}))
	two := person(NewGrant(Approver, Scope{Toolkit: "github"}), custom)
	same := person(NewGrant(Approver, Scope{Toolkit: "github"}), NewGrant(Approver, Scope{Toolkit: "slack"}))
	if one.At(shopGit, slack).May(ApproveChange) {
		t.Error("approves where they may not")
	}
	if there := two.At(shopGit, slack); !there.May(ApproveChange) || there.Has(Approver) || there.May(ReviewBypass) {
		t.Errorf("by two roles: %+v", there.Grants)
	}
	if there := same.At(shopGit, slack); !there.May(ApproveChange) || !there.Has(Approver) || !there.May(ReviewBypass) {
		t.Errorf("by one role: %+v", there.Grants)
	}
	if again := two.At(shopGit, slack).At(shopGit); !again.May(ApproveChange) || again.May(ReviewBypass) {
		t.Errorf("looked at twice: %+v", again.Grants)
	}
}

func TestGrantText(t *testing.T) {
	for _, g := range []Grant{{Role: Editor}, {Role: "rol_X", Scope: Scope{Project: "prj_1", Toolkit: "github"}}, {Role: Viewer, Scope: Scope{Environment: "production"}}} {
		if back, ok := ReadGrant(g.String()); !ok || !back.Equal(g) {
			t.Errorf("%q is read as %+v", g.String(), back)
		}
	}
	for _, bad := range []string{"", " ", "editor somewhere", "editor project:", "editor project:a project:b", "editor planet:mars"} {
		if g, ok := ReadGrant(bad); ok {
			t.Errorf("%q is read as %+v", bad, g)
		}
	}
}

func TestCleanRole(t *testing.T) {
	good := map[string][]Permission{
		"Watchers":  {},
		"Proposers": {ProposeChange, SettleChange, CancelChange},
		"Deciders":  {ApproveChange, ReviewBypass, ReviewHistory},
		"Registrar": {ManagePeople, ManageRules},
	}
	for name, allows := range good {
		r, err := CleanRole(CustomRole{Name: " " + name + " ", Allows: allows})
		if err != nil || r.Name != name || !slices.Contains(r.Allows, ViewConfigs) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if r, _ := CleanRole(CustomRole{Name: "Exporters", Allows: []Permission{ExportHistory}}); !slices.Equal(r.Allows, []Permission{ViewConfigs, ViewHistory, ExportHistory}) {
		t.Errorf("what exporting needs: %v", r.Allows)
	}
	for name, bad := range map[string]CustomRole{
		"permissions: both": {Name: "Kings", Allows: []Permission{ManagePeople, ApproveChange}},
		"permissions: and":  {Name: "Judges", Allows: []Permission{ProposeChange, ApproveChange}},
		"permissions: can":  {Name: "Owners", Allows: []Permission{ProposeChange, ManageRules}},
		"permissions: from": {Name: "Others", Allows: []Permission{"world.rule"}},
		"name: already":     {Name: "ADMIN"},
		"name: Enter":       {Name: " "},
	} {
		field, says, _ := strings.Cut(name, ": ")
		_, err := CleanRole(bad)
		if p := problem.Of(err); p == nil || !strings.Contains(p.Fields[field], says) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, r := range Roles() { // the ones that there always are keep to it
		if _, err := CleanRole(CustomRole{Name: "As " + string(r), Allows: r.Permissions()}); err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
}

// A view opens no page that its person may not open.
func TestViewGivesNothing(t *testing.T) {
	u := User{State: Active, Grants: []Grant{{Role: "rol_1", Allows: []Permission{ViewConfigs, ViewPeople, ManagePeople}}}}
	seen := u.As(View{Grant: NewGrant(Admin, Everywhere)})
	for _, p := range []Permission{ViewHistory, ViewPersonal, ViewSettings, ManageRules, ManageProjects, ManageNotifications, ManageSinks} {
		if seen.May(p) {
			t.Errorf("a view gives %s", p)
		}
	}
	if !seen.May(ManagePeople) {
		t.Error("a view lacks what role and person both have")
	}
	u.Grants[0].Allows = append(u.Grants[0].Allows, ViewHistory)
	if u.As(View{Grant: NewGrant(Auditor, Everywhere)}).May(ViewHistory) {
		t.Error("a view reads history as a role that reads more of it")
	}
	if g := u.Grants[0]; !u.As(View{Grant: g}).May(ViewHistory) {
		t.Error("a view of one's own role reads no history")
	}
}

// What somebody has by different roles in different places is no role of theirs.
func TestRolesOfOnePlace(t *testing.T) {
	u := person(NewGrant(Editor, Scope{Project: "prj_shop"}), NewGrant(Approver, Scope{Project: "prj_blog"}))
	for name, tt := range map[string]struct {
		at   User
		want []Role
		sees bool
	}{
		"one place":  {u.At(shop), []Role{Editor}, true},
		"both":       {u.At(shop, blog), nil, true},
		"elsewhere":  {u.At(nowhere), nil, false},
		"some of it": {u.Within(blog), []Role{Approver}, true},
	} {
		if got := tt.at.Roles(); !slices.Equal(got, tt.want) || tt.at.May(ViewConfigs) != tt.sees {
			t.Errorf("%s: roles %q, sees %v", name, got, tt.at.May(ViewConfigs))
		}
	}
}
