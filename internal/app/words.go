package app

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/access"
	"gatehouse/internal/mirror"
	"gatehouse/web/templates"
)

// number writes n with separators: 48,210.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural writes a count with its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// ago is a moment as its age. Ages are whole minutes, so that a page stays right
// as long as the browser may keep it.
func ago(t, now time.Time) templates.TimeView {
	if t.IsZero() {
		return templates.TimeView{Text: "never"}
	}
	v := exact(t)
	v.Live = true
	switch d := now.Sub(t); {
	case d < time.Minute:
		v.Text = "just now"
	case d < time.Hour:
		v.Text = strconv.Itoa(int(d/time.Minute)) + " min ago"
	case d < 24*time.Hour:
		v.Text = strconv.Itoa(int(d/time.Hour)) + " h ago"
	case d < 30*24*time.Hour:
		v.Text = strconv.Itoa(int(d/(24*time.Hour))) + " d ago"
	default:
		v.Text, _, _ = strings.Cut(v.Full, ",")
		v.Live = false
	}
	return v
}

// exact is a moment in full, such as 2 Jan 2006, 15:04:05 UTC.
func exact(t time.Time) templates.TimeView {
	if t.IsZero() {
		return templates.TimeView{Text: "never"}
	}
	t = t.UTC()
	iso := t.Format(time.RFC3339) // quick, unlike other layouts, and lists have many times
	full := strconv.Itoa(t.Day()) + " " + t.Month().String()[:3] + " " + iso[:4] + ", " + iso[11:19] + " UTC"
	return templates.TimeView{Text: full, ISO: iso, Full: full}
}

// avatar is the initial of a toolkit or config on the colour of its slug.
func avatar(slug, name string) templates.AvatarView {
	return templates.AvatarView{Letter: initial(name, slug), Hue: hue(slug)}
}

// face is the initials of a person.
func face(name, id string) templates.AvatarView {
	words := strings.Fields(name)
	letters := ""
	if len(words) > 0 {
		letters = initial(words[0], "")
	}
	if len(words) > 1 {
		letters += initial(words[len(words)-1], "")
	}
	return templates.AvatarView{Letter: letters, Hue: hue(id)}
}

var hues = [...]string{"0", "1", "2", "3", "4", "5", "6", "7"}

func hue(of string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(of)) // never fails
	return hues[h.Sum32()%uint32(len(hues))]
}

func initial(texts ...string) string {
	for _, t := range texts {
		for _, r := range t {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return string(unicode.ToUpper(r))
			}
		}
	}
	return "?"
}

// capital writes a text with a capital first letter.
func capital(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

func environment(p mirror.Project) templates.EnvironmentView {
	return templates.EnvironmentView{Name: p.Environment, Text: capital(p.Environment)}
}

func roleNames(roles []access.Role) string {
	var names []string
	for _, r := range roles {
		names = append(names, capital(string(r)))
	}
	return strings.Join(names, ", ")
}

// statusBadge shows the status of an auth config. Unknown ones stand as they are.
func statusBadge(status string) templates.BadgeView {
	switch status {
	case mirror.Enabled:
		return templates.BadgeView{Text: "Enabled", Tone: "good"}
	case mirror.Disabled:
		return templates.BadgeView{Text: "Disabled"}
	case "":
		return templates.BadgeView{Text: "Unknown", Tone: "warn"}
	}
	return templates.BadgeView{Text: capital(strings.ToLower(status)), Tone: "warn"}
}

// owner says whose app a config uses.
func owner(managed bool) string {
	if managed {
		return "Managed"
	}
	return "Own"
}

// ownerLong says it to those who choose.
func ownerLong(managed bool) string {
	if managed {
		return "Composio's app"
	}
	return "Your own credentials"
}

// fieldReaders is a setting of projects in history.
const fieldReaders = "history_readers"

// fieldLabels are the names of fields as readers see them. Others stand as they
// are called on the wire.
var fieldLabels = map[string]string{
	mirror.FieldName: "Name", mirror.FieldStatus: "Status", mirror.FieldScopes: "Scopes", mirror.FieldUserScopes: "User scopes",
	mirror.FieldClientID: "Client ID", mirror.FieldConsumerKey: "Consumer key", mirror.FieldRedirectURI: "Redirect URI",
	mirror.FieldTools: "Restricted to tools", mirror.FieldToolsForExecution: "Tools available for execution",
	mirror.FieldToolsForConnection: "Tools for connecting", mirror.FieldProxyURL: "Proxy", mirror.FieldToolRouter: "Tool router",
	mirror.FieldCredentials: "Credentials set", "client_secret": "Client secret", "api_key": "API key", "roles": "Roles",
	"environment": "Environment", "base_url": "Base URL", "proxy_auth_key": "Proxy key", "consumer_secret": "Consumer secret",
	"url": "Address", "address": "Address", "topics": "Events",
	"connections_over": "Connections", "subject": "About", "from": "From", "until": "Until", "project": "Project", "zone": "Time zone",
	"scope": "Where", "conclusion": "What it came to", "left": "Why people are left undecided", "comment": "Why", "role": "Role", "where": "Where", "permissions": "Allows to", "steps": "Approvals", "members": "Members", "groups": "Groups", "external": "Ids elsewhere", "people": "People", "toolkit": "Toolkit", "operations": "Operations",
	"condition": "Condition", "reason": "Reason", "may": "What it may do", "projects": "Projects", "days": "How long it lasts", "directory": "Sign-in through", "giving": "What its groups give", "expires": "Ends", fieldReaders: "Who may read its history", "filter": "Filter",
}

func fieldLabel(name string) string {
	if l, ok := fieldLabels[name]; ok {
		return l
	}
	return capital(strings.ReplaceAll(name, "_", " "))
}
