package notify_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/change"
	"gatehouse/internal/notify"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
)

// Who hears of what: approvers are asked, the requester hears the outcome, and
// nobody hears of their own doing.
func TestWhoHears(t *testing.T) {
	h := newHouse(t)
	emil, anna, both := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Berta", access.Editor, access.Approver)
	ayo, gone := h.Person("Ayo", access.Auditor), h.Person("Gone", access.Approver)
	ada := h.Person("Ada", access.Admin)
	h.must(h.Access.SetDisabled(t.Context(), ada, gone.ID, true))
	h.run()
	id := h.submit(emil, "Widen scopes of github-prod")
	h.happens(id, change.Approved, step{anna.Actor(), "change.voted", map[string]string{"decision": "approve"}}, step{audit.System(), "change.approved", nil})
	h.happens(id, change.Applying, step{emil.Actor(), "change.applying", nil}, step{emil.Actor(), "change.released", nil})
	h.happens(id, change.Applied, step{emil.Actor(), "change.applied", nil})
	mine := h.submit(both, "Delete slack-old")
	h.happens(mine, change.InReview, step{ayo.Actor(), "change.commented", nil}, step{both.Actor(), "change.commented", nil})
	h.happens(mine, change.Applying, step{emil.Actor(), "change.bypassed", nil})
	h.quiet()
	in := " (Project staging, staging)"
	for _, c := range []struct {
		who  access.Reader
		want []string
	}{
		{emil, []string{"Applied: Widen scopes of github-prod" + in, "Approved by Anna: Widen scopes of github-prod" + in}},
		{anna, []string{"Emil skipped approval by break-glass: Delete slack-old" + in, "Berta asks for your approval: Delete slack-old" + in, "Emil asks for your approval: Widen scopes of github-prod" + in}},
		{both, []string{"Emil skipped approval by break-glass: Delete slack-old" + in, "Ayo commented: Delete slack-old" + in, "Emil asks for your approval: Widen scopes of github-prod" + in}},
		{ayo, []string{"Emil skipped approval by break-glass: Delete slack-old" + in}},
		{ada, []string{}},
		{gone, []string{}},
	} {
		if diff := cmp.Diff(c.want, h.told(c.who)); diff != "" {
			t.Errorf("%s: %s", c.who.Name, diff)
		}
	}
	if n := len(h.mails.to(gone)); n != 0 {
		t.Errorf("a disabled person got %d mails", n)
	}
	mails := h.mails.to(anna)
	if len(mails) != 3 || mails[0].subject != "Emil asks for your approval: Widen scopes of github-prod"+in || !strings.Contains(mails[0].body, public+"/changes/"+id) {
		t.Errorf("mails to Anna: %+v", mails)
	}
}

// A revision that is submitted anew is one thing to be told, and a request that
// waits for nobody asks nobody.
func TestToldOnce(t *testing.T) {
	h := newHouse(t)
	emil, anna := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver)
	h.open()
	id := h.submit(emil, "Rename x")
	h.happens(id, change.InReview, step{emil.Actor(), "change.revised", nil}, step{emil.Actor(), "change.submitted", nil})
	h.happens(id, change.Approved, step{emil.Actor(), "change.revised", nil}, step{emil.Actor(), "change.submitted", nil}, step{audit.System(), "change.approved", nil})
	h.run() // by now nobody has to approve it
	h.quiet()
	if got := append(h.told(anna), h.told(emil)...); len(got) != 0 {
		t.Errorf("told: %q", got)
	}
	h.happens(id, change.InReview, step{emil.Actor(), "change.revised", nil}, step{emil.Actor(), "change.submitted", nil})
	h.quiet()
	if diff := cmp.Diff([]string{"Emil revised a change and asks for your approval: Rename x (Project staging, staging)"}, h.told(anna)); diff != "" {
		t.Error(diff)
	}
}

// Each choice of the matrix holds, but for outcomes, which a requester always
// finds in the console.
func TestMatrix(t *testing.T) {
	h := newHouse(t)
	emil, anna := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver)
	h.run()
	none := notify.Preferences{Digest: notify.AtOnce}
	h.must(h.notify.SetPreferences(t.Context(), emil, none))
	h.must(h.notify.SetPreferences(t.Context(), anna, notify.Preferences{Page: map[notify.Why]bool{notify.NeedsMe: true}, Digest: notify.AtOnce}))
	id := h.submit(emil, "First")
	h.happens(id, change.InReview, step{anna.Actor(), "change.commented", nil})
	h.happens(id, change.Rejected, step{anna.Actor(), "change.rejected", nil})
	h.quiet()
	if got := h.told(emil); len(got) != 1 || !strings.HasPrefix(got[0], "Rejected by Anna: First") {
		t.Errorf("Emil was told %q", got)
	}
	if got := h.told(anna); len(got) != 1 {
		t.Errorf("Anna was told %q", got)
	}
	if got := h.mails.all(); len(got) != 0 {
		t.Errorf("mails: %+v", got)
	}
	h.must(h.notify.SetPreferences(t.Context(), anna, notify.Preferences{Mail: map[notify.Why]bool{notify.NeedsMe: true}, Digest: notify.AtOnce}))
	h.submit(emil, "Second")
	h.quiet()
	if got := h.told(anna); len(got) != 1 {
		t.Errorf("Anna was told %q", got)
	}
	if got := h.mails.to(anna); len(got) != 1 || !strings.Contains(got[0].subject, "Second") {
		t.Errorf("mails to Anna: %+v", got)
	}
	if err := h.notify.SetPreferences(t.Context(), anna, notify.Preferences{Digest: "now and then"}); err == nil {
		t.Error("a digest of another kind was saved")
	}
}

// A digest is one mail of what came, and break-glass doesn't wait for it.
func TestDigest(t *testing.T) {
	h := newHouse(t)
	emil, anna, berta := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Berta", access.Approver)
	h.run()
	p := notify.Defaults()
	p.Digest = notify.Hourly
	h.must(h.notify.SetPreferences(t.Context(), anna, p))
	p.Digest = notify.Daily
	h.must(h.notify.SetPreferences(t.Context(), berta, p))
	first, second := h.submit(emil, "First"), h.submit(emil, "Second")
	h.happens(second, change.Applying, step{emil.Actor(), "change.bypassed", nil})
	h.quiet()
	h.until("break-glass is told", func() bool { return len(h.mails.to(anna)) == 1 && len(h.mails.to(berta)) == 1 })
	if got := h.mails.to(anna)[0].subject; !strings.Contains(got, "break-glass") {
		t.Errorf("at once came %q", got)
	}
	h.forward(time.Hour)
	h.until("the hourly digest comes", func() bool { return len(h.mails.to(anna)) == 2 })
	digest := h.mails.to(anna)[1]
	if digest.subject != "Gatehouse: 2 notifications" || !strings.Contains(digest.body, "/changes/"+first) || !strings.Contains(digest.body, "/changes/"+second) {
		t.Errorf("the digest: %+v", digest)
	}
	h.forward(23 * time.Hour)
	h.until("the daily digest comes", func() bool { return len(h.mails.to(berta)) == 2 })
	h.quiet()
	if got := h.mails.to(anna); len(got) != 2 {
		t.Errorf("%d mails to Anna", len(got))
	}
}

// What was committed before the program ended is told by the next one.
func TestRestart(t *testing.T) {
	h := newHouse(t)
	emil, anna := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver)
	h.mails.fail.Store(1 << 40)
	h.submit(emil, "Before anybody listened")
	h.Restart()
	h.settings.Retry = time.Minute
	h.run()
	h.until("a try fails", func() bool {
		pending, err := h.notify.Pending(t.Context(), 10)
		h.must(err)
		return len(pending) == 1 && pending[0].To == "E-mail to Anna" && pending[0].Tries == 1
	})
	h.stop()
	h.Restart()
	h.mails.fail.Store(0)
	h.run()
	h.forward(2 * time.Minute)
	h.until("the mail arrives", func() bool { return len(h.mails.to(anna)) == 1 })
	h.quiet()
	if got := h.told(anna); len(got) != 1 {
		t.Errorf("Anna was told %q", got)
	}
	if pending, err := h.notify.Pending(t.Context(), 10); err != nil || len(pending) != 0 {
		t.Errorf("pending: %+v %v", pending, err)
	}
}

// A change of the rules belongs to no project, and is told like any other.
func TestRulesAreTold(t *testing.T) {
	h := newHouse(t)
	h.run()
	ada, anna, anton := h.Person("Ada", access.Admin), h.Person("Anna", access.Approver), h.Person("Anton", access.Approver)
	policy := change.Policy{Subject: change.AboutConfigs, Project: h.Project.ID, Steps: []change.PolicyStep{{{Count: 1}}}}
	r, err := h.Changes.ProposePolicy(t.Context(), ada, "to begin with", policy)
	h.must(err)
	h.Settled(r.ID)
	r, err = h.Changes.ProposeBreakGlass(t.Context(), ada, "on call", []string{ada.ID})
	h.must(err)
	h.until("the mails arrive", func() bool { return len(h.mails.to(anna)) == 1 && len(h.mails.to(anton)) == 1 })
	if got := h.mails.to(anna)[0]; got.subject != "Ada asks for your approval: Change the break-glass list" || !strings.Contains(got.body, r.ID) {
		t.Errorf("mail: %+v", got)
	}
	if got := h.told(anna); len(got) != 1 {
		t.Errorf("Anna was told %q", got)
	}
}

// Titles are anybody's. They stay on their line, and nothing in them hides, turns
// the text, or is markup. Nothing but the title and where it stands is told.
func TestHostileTitle(t *testing.T) {
	hooks := map[string]*hook{notify.Slack: newHook(t), notify.Teams: newHook(t), notify.Webhook: newHook(t)}
	var private []string
	for _, k := range hooks {
		private = append(private, k.addr)
	}
	h := newHouse(t, private...)
	emil, anna, ada := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Ada", access.Admin)
	h.run()
	for kind, k := range hooks {
		h.addChannel(ada, kind, k)
	}
	h.submit(emil, "x\r\nBcc: evil@example.com\r\n\r\n<!channel> <https://evil.example|click> & *b* \u202egnp.exe\u200b\x00\x1b[31m [a](http://e) <at>all</at>")
	h.quiet()
	for kind, k := range hooks {
		h.until(kind, func() bool { return len(k.all()) == 1 })
	}
	slack := hooks[notify.Slack].all()[0].body
	if strings.Contains(slack, `\u003c`) || !strings.Contains(slack, `\u0026lt;!channel\u0026gt;`) || !strings.Contains(slack, `"mrkdwn":false`) {
		t.Errorf("to Slack: %s", slack)
	}
	if teams := hooks[notify.Teams].all()[0].body; !strings.Contains(teams, `"TextRun"`) || strings.Contains(teams, "TextBlock\"") && !strings.Contains(teams, "RichTextBlock") {
		t.Errorf("to Teams: %s", teams)
	}
	mails := h.mails.all()
	if len(mails) != 1 || mails[0].to != anna.Email || mails[0].header.Get("Bcc") != "" {
		t.Fatalf("mails: %+v", mails)
	}
	told := []string{mails[0].subject, mails[0].body, h.told(anna)[0]}
	for _, k := range hooks {
		told = append(told, k.all()[0].body)
	}
	all := strings.Join(told, "\n")
	for _, bad := range []string{"\u202e", "\u200b", "\x00", "\x1b", `\u202e`, `\u200b`, `\u0000`, `\r`, canary} {
		if strings.Contains(all, bad) {
			t.Errorf("%q is told", bad)
		}
	}
	if strings.ContainsAny(mails[0].subject, "\r\n") {
		t.Errorf("subject %q", mails[0].subject)
	}
}

func TestUnread(t *testing.T) {
	h := newHouse(t)
	emil, anna, berta := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Berta", access.Approver)
	h.run()
	h.submit(emil, "First")
	h.submit(emil, "Second")
	h.quiet()
	all, err := h.notify.Notices(t.Context(), anna, 0, 10)
	h.must(err)
	h.submit(emil, "Third")
	h.quiet()
	h.must(h.notify.MarkRead(t.Context(), anna, all[0].Notice.Seq))
	for who, want := range map[*access.Reader]int{&anna: 1, &berta: 3, &emil: 0} {
		if n, err := h.notify.Unread(t.Context(), *who); err != nil || n != want {
			t.Errorf("%s has %d to read, want %d (%v)", who.Name, n, want, err)
		}
	}
	if got := h.told(anna); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "First") }) {
		t.Errorf("what was read is gone: %q", got)
	}
}

// Who approves or manages projects, by whatever role, hears what was changed at
// Composio directly, if it matters, and many such entries come as one mail.
func TestChangedOutside(t *testing.T) {
	h := newHouse(t)
	emil, anna, ada, cora := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Ada", access.Admin), h.Person("Cora", access.Viewer)
	h.decides(cora)
	h.run()
	outside := func(action, id, field string) {
		h.must(h.Store.Record(t.Context(), audit.Event{
			Actor: audit.Actor{Kind: audit.ActorOutside}, Action: action, Project: h.Project.ID, Object: audit.Object{Kind: "auth_config", ID: id, Name: id},
			Changes: []audit.Change{{Field: field, Before: []string{"a"}, After: []string{"a", "b"}}},
		}))
	}
	h.ahead.Store(int64(time.Minute - h.now().Sub(h.now().Truncate(time.Minute)))) // so that no minute begins in between
	outside("auth_config.changed_outside", "ac_wide", "scopes")
	outside("auth_config.deleted_outside", "ac_gone", "status")
	outside("auth_config.changed_outside", "ac_name", "name")
	h.quiet()
	in := " (Project staging, staging)"
	want := []string{"Deleted at Composio directly: ac_gone" + in, "Changed at Composio directly: ac_wide" + in}
	for _, who := range []access.Reader{anna, ada, cora} {
		if diff := cmp.Diff(want, newest(h.told(who), 2)); diff != "" {
			t.Errorf("%s: %s", who.Name, diff)
		}
	}
	if got := h.told(emil); len(got) != 0 {
		t.Errorf("Emil was told %q", got)
	}
	h.forward(2 * time.Minute)
	h.until("one mail comes", func() bool { return len(h.mails.to(anna)) > 0 })
	h.quiet()
	got := h.mails.to(anna)
	path := public + "/projects/" + h.Project.Slug + "/auth-configs/"
	if len(got) != 1 || got[0].subject != "Gatehouse: 2 notifications" || !strings.Contains(got[0].body, path+"ac_wide\n") || !strings.Contains(got[0].body, path+"ac_gone/versions") {
		t.Errorf("mails: %+v", got)
	}
}

// newest are the first of what somebody was told.
func newest(all []string, n int) []string { return all[:min(n, len(all))] }

// Who may not read a project's history isn't told of what stands in it; who may not
// any more reads on their page where something was, and no more.
func TestChangedOutsideHidden(t *testing.T) {
	h := newHouse(t)
	anna, ada := h.Person("Anna", access.Approver), h.Person("Ada", access.Admin)
	h.run()
	readBy := func(roles ...access.Role) { h.must(h.Mirror.SetReaders(t.Context(), ada, h.Project.ID, roles)) }
	gone := func(id string) {
		h.must(h.Store.Record(t.Context(), audit.Event{
			Actor: audit.Actor{Kind: audit.ActorOutside}, Action: "auth_config.deleted_outside", Project: h.Project.ID, Object: audit.Object{Kind: "auth_config", ID: id, Name: id},
		}))
	}
	gone("ac_before")
	h.quiet()
	readBy(access.Viewer)
	gone("ac_after")
	h.quiet()
	in := " (Project staging, staging)"
	if diff := cmp.Diff([]string{"Deleted at Composio directly: an auth config" + in}, h.told(anna)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Deleted at Composio directly: ac_after" + in, "Deleted at Composio directly: ac_before" + in}, h.told(ada)); diff != "" {
		t.Error(diff)
	}
	h.forward(2 * time.Minute)
	h.until("a mail comes", func() bool { return len(h.mails.to(anna)) > 0 })
	if got := h.mails.to(anna)[0]; strings.Contains(got.subject+got.body, "ac_") || !strings.Contains(got.body, "Open the drift: "+public+"/projects/staging/drift") {
		t.Errorf("%q: %s", got.subject, got.body)
	}
}

// Who may not see a change request any more reads neither on their page nor in mail
// that waited what it is about.
func TestNotTheirsAnyMore(t *testing.T) {
	h := newHouse(t)
	emil, anna, berta := h.Person("Emil", access.Editor), h.Person("Anna", access.Approver), h.Person("Berta", access.Approver)
	h.run()
	p := notify.Defaults()
	p.Digest = notify.Hourly
	h.must(h.notify.SetPreferences(t.Context(), anna, p))
	h.must(h.notify.SetPreferences(t.Context(), berta, p))
	h.submit(emil, "Delete github-prod")
	id := h.submit(emil, "Widen slack-prod")
	h.submit(berta, "Rename jira-prod")
	h.quiet()
	for _, who := range []*access.Reader{&anna, &berta} {
		a, err := h.Store.UpdateAccount(t.Context(), who.ID, func(a *access.Account) ([]audit.Event, error) {
			a.Grants = []access.Grant{access.NewGrant(access.Approver, access.Scope{Environment: "production"})}
			return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID, Name: a.Name}}}, nil
		}, nil)
		h.must(err)
		who.User = a.User
	}
	lost := "a change request that you may not see any more"
	if diff := cmp.Diff([]string{"Berta asks for your approval: " + lost, "Emil asks for your approval: " + lost, "Emil asks for your approval: " + lost}, h.told(anna)); diff != "" {
		t.Error(diff)
	}
	h.forward(2 * time.Hour)
	for _, who := range []access.Reader{anna, berta} {
		h.until("the mail comes", func() bool { return len(h.mails.to(who)) > 0 })
		got := h.mails.to(who)[0]
		if text := got.subject + got.body; strings.Contains(text, "-prod") || strings.Contains(text, "staging") || strings.Contains(text, id) || !strings.Contains(text, lost) {
			t.Errorf("%q: %s", got.subject, got.body)
		}
	}
}

// Who is asked in a review hears of it in the console in any case, and by mail.
func TestAsked(t *testing.T) {
	h := newHouse(t)
	ayo, emil := h.Person("Ayo", access.Auditor), h.Person("Emil", access.Editor)
	h.run()
	h.must(h.notify.SetPreferences(t.Context(), emil, notify.Preferences{Mail: map[notify.Why]bool{notify.Asked: true}, Digest: notify.AtOnce}))
	h.must(h.Store.Record(t.Context(), audit.Event{
		Actor: ayo.Actor(), Action: "review.flagged", Object: audit.Object{Kind: "review", ID: "rev_1", Name: "March"}, Detail: map[string]string{"entry": "7", "assignee": emil.ID},
	}))
	h.quiet()
	want := []string{"Ayo asks you about an entry of history: March"}
	if diff := cmp.Diff(want, h.told(emil)); diff != "" {
		t.Error(diff)
	}
	if got := h.mails.to(emil); len(got) != 1 || got[0].subject != want[0] || !strings.Contains(got[0].body, "Open the question: "+public+"/reviews") {
		t.Errorf("mails: %+v", got)
	}
	if got := h.told(ayo); len(got) != 0 {
		t.Errorf("Ayo was told %q", got)
	}
}

// All admins hear of an emergency account, whatever they chose.
func TestEmergency(t *testing.T) {
	h := newHouse(t)
	ada, vera := h.Person("Ada", access.Admin), h.Person("Vera", access.Viewer)
	u, err := h.Access.AddUser(t.Context(), access.Person{Email: "glass@example.com", Name: "Glass", Roles: []access.Role{access.Admin}, Emergency: true}, secret.New(rig.Passphrase))
	h.must(err)
	h.run()
	h.must(h.notify.SetPreferences(t.Context(), ada, notify.Preferences{Digest: notify.Daily}))
	if _, _, err := h.Access.SignIn(t.Context(), "glass@example.com", secret.New(rig.Passphrase), access.Origin{IP: "192.0.2.9"}); err != nil {
		t.Fatal(err)
	}
	h.quiet()
	want := []string{"An emergency account was signed in to: Glass"}
	for _, who := range []access.Reader{ada, {User: u}} {
		if diff := cmp.Diff(want, h.told(who)); diff != "" {
			t.Error(diff)
		}
	}
	if got := h.told(vera); len(got) != 0 {
		t.Errorf("Vera was told %q", got)
	}
	if got := h.mails.to(ada); len(got) != 1 || got[0].subject != want[0] || !strings.Contains(got[0].body, public+"/people/"+u.ID) || !strings.Contains(got[0].body, "disable the account") {
		t.Errorf("mails: %+v", got)
	}
}

// Whoever's second factors change hears of it, whatever they chose.
func TestFactorsAreTold(t *testing.T) {
	h := newHouse(t)
	emil := h.Person("Emil", access.Editor)
	h.run()
	h.must(h.notify.SetPreferences(t.Context(), emil, notify.Preferences{Digest: notify.Daily}))
	prover, err := access.NewProver(h.Access, access.ProverSettings{Public: &url.URL{Scheme: "http", Host: "localhost"}})
	h.must(err)
	token, _, err := h.Access.SignIn(t.Context(), emil.Email, secret.New(rig.Passphrase), access.Origin{})
	h.must(err)
	session, _, err := h.Store.Session(t.Context(), access.HashToken(token))
	h.must(err)
	emil.Session = session.ID
	offer, err := prover.OfferApp(emil)
	h.must(err)
	_, err = prover.AddApp(t.Context(), emil, secret.New(offer.Sealed), secret.New(rig.Code(t, offer.Secret, rig.Now())))
	h.must(err)
	h.must(prover.RemoveApp(t.Context(), emil))
	h.quiet()
	want := []string{"A second factor was removed from your account: an authenticator app", "A second factor was added to your account: an authenticator app"}
	if diff := cmp.Diff(want, h.told(emil)); diff != "" {
		t.Error(diff)
	}
	if got := h.mails.to(emil); len(got) != 2 || !strings.Contains(got[0].body, public+"/account/factors") || !strings.Contains(got[0].body, "If it was not you") {
		t.Errorf("mails: %+v", got)
	}
}
