package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// actionNames are what can happen, as a list to choose from and as sentences:
// who, what, to which object, and what follows it.
var actionNames = []struct{ action, name, did, more string }{
	{"auth_config.created", "Auth config created", "created", ""},
	{"auth_config.updated", "Auth config edited", "edited", ""},
	{"auth_config.enabled", "Auth config enabled", "enabled", ""},
	{"auth_config.disabled", "Auth config disabled", "disabled", ""},
	{"auth_config.deleted", "Auth config deleted", "deleted", ""},
	{"auth_config.created_outside", "Created outside", "created", "at Composio directly"},
	{"auth_config.changed_outside", "Changed outside", "changed", "at Composio directly"},
	{"auth_config.deleted_outside", "Deleted outside", "deleted", "at Composio directly"},
	{"auth_config.touched_outside", "Touched outside", "touched", "at Composio directly; a credential may have changed"},
	{"drift.adopted", "Drift adopted", "adopted what was changed outside on", ""},
	{"drift.ignored", "Drift ignored", "set aside what was changed outside on", ""},
	{"drift.returned", "Drift returned", "brought back what was changed outside on", "since its day has come"},
	{"drift.settled", "Drift settled", "found nothing left of what was changed outside on", ""},
	{"auth_config.duplicate_found", "Duplicate found", "made", "twice by one create"},
	{"auth_config.marker_removed", "Marker removed", "took the marker off", ""},
	{"auth_config.marker_kept", "Marker kept", "could not take the marker off", ""},
	{"apply.intent", "Apply begun", "began to apply a change of", ""},
	{"apply.refused", "Change refused", "was refused a change of", "by Composio"},
	{"apply.not_sent", "Change not sent", "could not send a change of", "to Composio"},
	{"apply.unknown", "Outcome unknown", "does not know whether Composio changed", ""},
	{"apply.undecided", "Decision needed", "needs a person to say what became of", ""},
	{"apply.superseded", "Nothing to do", "found nothing left to change on", ""},
	{"apply.stale", "Stale", "found that somebody else changed", "meanwhile"},
	{"apply.declared_done", "Declared done", "found that the change happened to", ""},
	{"apply.declared_undone", "Declared undone", "found that the change did not happen to", ""},
	{"change.submitted", "Change proposed", "proposed:", ""},
	{"change.drafted", "Change drafted", "drafted", ""},
	{"change.voted", "Vote", "voted on", ""},
	{"change.approved", "Change approved", "let through", "as its policies allow"},
	{"change.changes_requested", "Changes requested", "sent back", "until what was asked for is changed"},
	{"change.back_in_review", "Back in review", "took back for review", "since it lacks approvals again"},
	{"change.rejected", "Change rejected", "rejected", ""},
	{"change.scheduled", "Change scheduled", "scheduled", ""},
	{"change.unscheduled", "Schedule removed", "took off its schedule", ""},
	{"change.bypassed", "Break-glass", "applied without approval", "(break-glass)"},
	{"change.ratified", "Break-glass reviewed", "reviewed the break-glass of", ""},
	{"change.commented", "Comment", "commented on", ""},
	{"change.comment_edited", "Comment edited", "edited a comment on", ""},
	{"change.watched", "Watched", "began to watch", ""},
	{"change.unwatched", "No longer watched", "stopped watching", ""},
	{"change.credential_compared", "Credential compared", "compared a value with a credential that waits in", ""},
	{"change.applying", "Change taken up", "took up", ""},
	{"change.applied", "Change applied", "finished", ""},
	{"change.failed", "Change failed", "gave up", ""},
	{"change.partial", "Change partly applied", "applied a part of", ""},
	{"change.superseded", "Change superseded", "closed", "since nothing was left to change"},
	{"change.stale", "Change stale", "stopped", "because the auth config had changed"},
	{"change.revised", "Change revised", "revised", ""},
	{"change.released", "Change released", "let", "be applied"},
	{"change.retried", "Change retried", "retried", ""},
	{"change.cancelled", "Change cancelled", "cancelled", ""},
	{"change.expired", "Change expired", "let", "expire"},
	{"change.suspended", "Change suspended", "suspended", "until a person lets it go on"},
	{"session.signed_in", "Signed in", "signed in", ""},
	{"session.refused", "Sign-in refused", "was refused at sign-in", ""},
	{"session.factor_asked", "Second factor asked for", "gave a right passphrase and was asked for the second factor", ""},
	{"session.factor_refused", "Second factor refused", "was refused with a second factor", ""},
	{"session.given_up", "Sign-in given up", "gave a sign-in up before the second factor", ""},
	{"session.proved", "Identity confirmed", "proved anew who they are", ""},
	{"session.signed_out", "Signed out", "signed out", ""},
	{"session.ended", "Session ended", "ended a session", ""},
	{"session.others_ended", "Other sessions ended", "ended their other sessions", ""},
	{"session.all_ended", "All sessions ended", "ended all their sessions", ""},
	{"session.crowded_out", "Session crowded out", "ended their oldest session by signing in once more", ""},
	{"session.view_began", "View as a role began", "began to see pages as", ""},
	{"session.view_ended", "View as a role ended", "ended to see pages as", ""},
	{"session.new_device", "New device", "signed in from a device that was not known", ""},
	{"user.sessions_ended", "Sessions ended", "ended all sessions of", ""},
	{"token.made", "API token made", "made the API token", ""},
	{"token.revoked", "API token revoked", "revoked the API token", ""},
	{"token.expires", "API token expires", "told its owner about the end of the API token", ""},
	{"token.refused", "API token refused", "was refused with the API token", ""},
	{"setup.link_made", "Set-up link made", "made a set-up link", ""},
	{"user.set_up", "Console set up", "set the console up as", ""},
	{"user.added", "Person added", "added", ""},
	{"user.invited", "Person invited", "invited", ""},
	{"user.invite_link_made", "Invitation renewed", "made an invitation link for", ""},
	{"user.reset_link_made", "Reset link made", "made a reset link for", ""},
	{"user.joined", "Person joined", "joined as", ""},
	{"user.passphrase_reset", "Passphrase reset", "set a new passphrase by a link for", ""},
	{"user.passphrase_changed", "Passphrase changed", "changed the passphrase of", ""},
	{"user.passphrase_rehashed", "Passphrase rehashed", "had the passphrase stored afresh for", ""},
	{"user.factor_added", "Second factor added", "added a second factor for", ""},
	{"user.factor_renamed", "Passkey renamed", "renamed a passkey of", ""},
	{"user.factor_removed", "Second factor removed", "removed a second factor of", ""},
	{"user.factors_reset", "Second factors reset", "took away all second factors of", ""},
	{"user.recovery_codes_made", "Recovery codes made", "made recovery codes for", ""},
	{"user.recovery_code_used", "Recovery code used", "used a recovery code of", ""},
	{"user.passkey_cloned", "Passkey copied", "showed that there is a copy of a passkey of", "which is refused from now on"},
	{"session.emergency", "Emergency sign-in", "signed in with an emergency account", ""},
	{"user.arrived", "Person arrived", "came through an identity provider for the first time, as", ""},
	{"user.provisioned", "Person provisioned", "brought in from the directory", ""},
	{"user.unprovisioned", "Person left the directory", "took out of the directory", ""},
	{"user.profile_set", "Profile set by the directory", "changed, as the directory says, the profile of", ""},
	{"user.groups_provisioned", "Groups set by the directory", "changed, as the directory says, the groups of", ""},
	{"group.provisioned", "Group provisioned", "brought in from the directory the group", ""},
	{"group.renamed", "Group renamed by the directory", "renamed, as the directory says, the group", ""},
	{"group.unprovisioned", "Group left the directory", "took out of the directory the group", ""},
	{"directory.client_made", "Directory client made", "made a client for a directory:", ""},
	{"directory.token_made", "Directory client's token shown", "had the token made and shown of the directory client", ""},
	{"directory.client_revoked", "Directory client revoked", "revoked the client of a directory:", ""},
	{"directory.refused", "Directory refused", "was refused, since nobody would be left who manages people, a change of", ""},
	{"directory.client_refused", "Directory client refused", "was refused as a client of a directory", ""},
	{"user.groups_set", "Groups read at sign-in", "has, by an identity provider, other groups:", ""},
	{"user.identity_linked", "Identity linked", "linked an identity at a provider to", ""},
	{"user.identity_unlinked", "Identity unlinked", "unlinked an identity at a provider from", ""},
	{"provider.silent", "Identity provider silent", "got no usable answer from the identity provider", ""},
	{"provider.answers", "Identity provider answers", "hears again from the identity provider", ""},
	{"user.renamed", "Person renamed", "changed their name to", ""},
	{"user.roles_set", "Roles changed", "changed the roles of", ""},
	{"user.disabled", "Person disabled", "disabled", ""},
	{"user.erased", "Person erased", "erased the personal data of", ""},
	{"user.enabled", "Person enabled", "enabled", ""},
	{"project.added", "Project added", "added the project", ""},
	{"project.edited", "Project edited", "edited the project", ""},
	{"project.key_replaced", "API key replaced", "replaced the API key of", ""},
	{"project.archived", "Project archived", "archived the project", ""},
	{"project.restored", "Project restored", "took back into use the project", ""},
	{"project.read_only", "Project read only", "found that the API key may only read in", ""},
	{"project.markers_on", "Markers on", "switched markers on in", ""},
	{"project.markers_off", "Markers off", "switched markers off in", ""},
	{"project.baseline", "First sync", "read everything for the first time in", ""},
	{"history.restored", "History taken back", "started on an older state of", ""},
	{"history.archived", "History archived", "wrote the archive", ""},
	{"history.pruned", "Entries removed", "removed from the database the entries that are in", ""},
	{"keys.rotated", "Key changed", "sealed everything with another key, of", ""},
	{"database.backed_up", "Backup made", "made a backup of", ""},
	{"history.verify_asked", "Verification asked for", "asked for a verification of", ""},
	{"search.saved", "Search saved", "saved the search", ""},
	{"search.edited", "Search edited", "edited the saved search", ""},
	{"search.removed", "Search deleted", "deleted the saved search", ""},
	{"search.followed", "Search followed", "chose how often to be mailed what is new in", ""},
	{"channel.added", "Channel added", "added the channel", ""},
	{"channel.removed", "Channel removed", "removed the channel", ""},
	{"channel.tested", "Channel tested", "sent a test to", ""},
	{"sink.added", "Sink added", "began to stream history to", ""},
	{"sink.edited", "Sink edited", "edited the sink", ""},
	{"sink.removed", "Sink removed", "removed the sink", ""},
	{"sink.tested", "Sink tested", "sent a test to", ""},
	{"sink.paused", "Sink paused", "paused the stream of history to", ""},
	{"sink.resumed", "Sink resumed", "resumed the stream of history to", ""},
	{"sink.replayed", "Sink replayed", "delivers history once more to", ""},
	{"user.notifications_set", "Notifications chosen", "chose how to be told:", ""},
	{"policy.added", "Policy added", "added", ""},
	{"policy.edited", "Policy edited", "edited", ""},
	{"policy.removed", "Policy removed", "removed", ""},
	{"group.added", "Group added", "added the group", ""},
	{"group.edited", "Group edited", "edited the group", ""},
	{"group.removed", "Group removed", "removed the group", ""},
	{"access_review.opened", "Access review opened", "opened the access review", ""},
	{"access_review.confirmed", "Rights confirmed", "confirmed somebody's rights in the access review", ""},
	{"access_review.revoked", "Rights revoked", "revoked somebody's roles in the access review", ""},
	{"access_review.closed", "Access review closed", "closed the access review", ""},
	{"custom_role.added", "Role added", "added the role", ""},
	{"custom_role.edited", "Role edited", "edited the role", ""},
	{"custom_role.removed", "Role removed", "removed the role", ""},
	{"freeze.added", "Freeze window added", "added the freeze window", ""},
	{"freeze.removed", "Freeze window removed", "removed the freeze window", ""},
	{"history.read", "History read", "read", ""},
	{"history.export_begun", "Export begun", "began to export", ""},
	{"history.exported", "History exported", "exported", ""},
	{"evidence.export_begun", "Evidence pack begun", "began to hand out", ""},
	{"evidence.exported", "Evidence handed out", "handed out", ""},
	{"review.opened", "Review opened", "opened the review", ""},
	{"review.marked", "Looked at in a review", "looked at entries in the review", ""},
	{"review.unmarked", "Marks taken off in a review", "took marks off in the review", ""},
	{"review.flagged", "Flagged in a review", "flagged", ""},
	{"review.answered", "Flag answered", "answered for", ""},
	{"review.reopened", "Flag reopened", "asked again about", ""},
	{"review.accepted", "Flag settled", "settled the flag of", ""},
	{"review.closed", "Review closed", "closed the review", ""},
	{"break_glass.edited", "Break-glass list edited", "changed", ""},
}

// entryBuilder turns entries of history into what readers see.
type entryBuilder struct {
	now      time.Time
	reader   string // id
	personal bool   // the reader may see addresses
	reviews  bool   // and reviews
	projects map[string]projectOf
	readable store.HistoryQuery
	names    names
}

func (b entryBuilder) entry(e audit.Entry) templates.EntryView {
	if e.Action == audit.Unreadable {
		return b.unreadable(e)
	}
	v := templates.EntryView{
		Seq: strconv.FormatInt(e.Seq, 10), URL: templates.Local(entryPath(e.Seq)), Avatar: face(b.person(e), cmp.Or(e.Actor.ID, e.Actor.Kind)),
		Sentence: b.sentence(e), Badge: outcomeBadge(e.Outcome), Project: b.projects[e.Project].name, Reason: e.Reason,
		Age: ago(e.Time, b.now), At: exact(e.Time), Diff: b.diff(e), Facts: b.rowFacts(e),
	}
	v.Short = shortDiff(v.Diff)
	if b.hides(e) {
		v.URL = "" // it stands in a change request
	}
	project := b.projects[e.Project]
	if _, step := mirror.StepOf(e.Event); step && project.slug != "" && !project.closed {
		v.Then = templates.LinkView{Text: "the project then", URL: asOfEntry(project.slug, e.Seq)}
	}
	if e.Request != "" && e.Object.Kind != "change_request" {
		v.Request = templates.LinkView{Text: "its change request", URL: templates.Local(changePath(e.Request))}
	}
	return v
}

// unreadable is what is left of an entry that can't be read.
func (b entryBuilder) unreadable(e audit.Entry) templates.EntryView {
	seq := strconv.FormatInt(e.Seq, 10)
	v := templates.EntryView{
		Seq: seq, URL: integrityPath, Avatar: face("?", audit.Unreadable), Badge: templates.BadgeView{Text: "Unreadable", Tone: "bad"},
		Sentence: templates.SentenceView{Who: "Entry " + seq, Did: "can't be read: it is not as it was written"},
	}
	v.Age.Text, v.At.Text = "not known", "not known"
	if b.personal {
		v.URL = templates.Local(entryPath(e.Seq))
	}
	return v
}

// actor names who did it: as they were called then, or by a number if they were
// erased.
func (b entryBuilder) actor(e audit.Entry) string {
	if e.Actor.TokenName != "" {
		if e.Actor.Kind == audit.ActorSystem {
			return "The directory client " + e.Actor.TokenName
		}
		return b.person(e) + " through the token " + e.Actor.TokenName
	}
	return b.person(e)
}

// person names who did it, without what they used.
func (b entryBuilder) person(e audit.Entry) string {
	switch {
	case e.Actor.Name != "":
		return e.Actor.Name
	case e.Actor.Kind == audit.ActorSystem:
		return "Gatehouse"
	case e.Actor.Kind == audit.ActorOutside:
		return "Somebody"
	case e.Actor.Kind == audit.ActorUser && b.names[e.Actor.ID] != "":
		return b.names[e.Actor.ID]
	case e.Actor.Kind == audit.ActorUser:
		return "An erased person"
	}
	return "An unknown person"
}

func (b entryBuilder) sentence(e audit.Entry) templates.SentenceView {
	v := templates.SentenceView{Who: b.actor(e), Did: strings.ReplaceAll(e.Action, "_", " "), Object: b.object(e)}
	for _, a := range actionNames {
		if a.action == e.Action {
			v.Did, v.More = a.did, a.more
		}
	}
	ruleSentence(e, &v)
	reviewSentence(e, &v)
	if strings.HasPrefix(e.Action, "session.") || e.Action == "setup.link_made" {
		v.Object = templates.LinkView{}
	}
	if as := e.Detail["view"]; as != "" {
		v.More = grantWords(as, b.names)
	}
	return v
}

// object names what an entry is about, with a link where there is a page.
func (b entryBuilder) object(e audit.Entry) templates.LinkView {
	name := e.Object.Name
	if name == "" {
		name = b.names[e.Object.ID]
	}
	if name == "" {
		name = e.Object.ID
	}
	l := templates.LinkView{Text: name}
	project, known := b.projects[e.Project]
	switch {
	case e.Object.Kind == "auth_config" && known && e.Object.ID != "":
		l.URL = templates.Local(configPath(project.slug, e.Object.ID))
		switch {
		case !strings.Contains(e.Action, "deleted"):
		case project.closed:
			l.URL = ""
		default:
			l.URL += "/versions" // what is left of it
		}
	case e.Object.Kind == "change_request":
		l.URL = templates.Local(changePath(e.Object.ID))
	case ruleKinds[e.Object.Kind]:
		return ruleObject(e)
	case e.Object.Kind == "review" && b.reviews:
		l.URL = templates.Local(reviewPath(e.Object.ID))
	case e.Object.Kind == "user" && e.Object.ID != "":
		l.URL = templates.Local(personPath(e.Object.ID))
	case e.Object.Kind == "project" && known:
		l.Text, l.URL = project.name, templates.Local(configsPath(project.slug))
	}
	return l
}

func changesDiff(changes []audit.Change) templates.DiffView {
	d := templates.DiffView{Before: "Before", After: "After"}
	for _, ch := range inPageOrder(changes) {
		d.Rows = append(d.Rows, diffRow(ch.Field, ch.Before, ch.After))
	}
	return d
}

// inPageOrder puts the fields of auth configs in the order of pages, before
// others.
func inPageOrder(changes []audit.Change) []audit.Change {
	order := mirror.AllFields()
	place := func(c audit.Change) int {
		if i := slices.Index(order, c.Field); i >= 0 {
			return i
		}
		return len(order)
	}
	out := slices.Clone(changes)
	slices.SortStableFunc(out, func(a, b audit.Change) int { return cmp.Compare(place(a), place(b)) })
	return out
}

// facts are all that is stored of an entry, in words.
func (b entryBuilder) facts(e audit.Entry, row audit.Row) []templates.FactView {
	hashes := []templates.FactView{{Name: "Hash", Code: row.Hash.String()}, {Name: "Follows", Code: row.Prev.String()}}
	if e.Action == audit.Unreadable {
		return hashes
	}
	facts := []templates.FactView{{Name: "Time", Time: exact(e.Time)}, {Name: "Actor", Text: b.actor(e)}}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, templates.FactView{Name: name, Text: text})
		}
	}
	add("Project", b.projects[e.Project].name)
	add("Change request", e.Request)
	add("Reason", e.Reason)
	return slices.Concat(facts, b.rowFacts(e), hashes)
}
