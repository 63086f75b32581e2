package store

import (
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// A document is what of an entry can be searched. Its tokens are words, words
// that stand side by side, and filters such as who it was; the index holds the
// same tokens, so that both give the same answers. Words never hold a dot or an
// at sign, all other tokens do.
type document struct {
	tokens    map[string]bool
	texts     [][]string // the words of each text
	addresses [][]string // those of people's addresses
}

// every is the token that all entries have.
const every = "all."

// nowhere is the token of those that are of no project.
const nowhere = "nowhere."

// open is the token of those that everybody may read.
const open = "open."

func newDocument(e audit.Entry) document {
	d := document{tokens: map[string]bool{every: true}}
	if !isAboutPeople(e.Action) {
		d.tokens[open] = true
	}
	if e.Project == "" {
		d.tokens[nowhere] = true
	}
	for _, text := range e.Words(false) {
		d.texts = d.add(d.texts, text, "")
	}
	for _, text := range []string{e.Actor.Email, e.Actor.IP} {
		d.addresses = d.add(d.addresses, text, inAddress)
	}
	for _, f := range entryFilters(e) {
		d.tokens[filterToken(f.kind, f.value)] = true
	}
	return d
}

// inAddress stands before the words of addresses, which not everybody may see.
const inAddress = "@"

func (d document) add(texts [][]string, text, where string) [][]string {
	words := tokens(text)
	for i, w := range words {
		d.tokens[where+w] = true
		if i > 0 {
			d.tokens[pairToken(where, words[i-1], w)] = true
		}
	}
	if len(words) > 2 {
		return append(texts, words)
	}
	return texts
}

// pairToken says that two words stand side by side.
func pairToken(where, a, b string) string { return where + "." + a + "." + b }

// A filter is a kind of token and its value.
type filter struct{ kind, value string }

// Kinds of filters.
const (
	byProject    = "prj"
	byActor      = "who" // id, or the kind of an actor without
	byActorName  = "whon"
	byActorEmail = "mail"
	byAction     = "act"
	byObject     = "obj"
	byConfig     = "cfg"
	byConfigName = "cfgn"
	byRequest    = "req"
	byOutcome    = "out"
	byIP         = "ip"
	byToolkit    = "tk"
	byOneToolkit = "tk1" // of those that are about no other
	byProperty   = "is"
)

func entryFilters(e audit.Entry) []filter {
	all := []filter{
		{byProject, e.Project}, {byActor, actorValue(e)}, {byActorName, strings.ToLower(e.Actor.Name)}, {byActorEmail, strings.ToLower(e.Actor.Email)},
		{byAction, e.Action}, {byObject, e.Object.ID}, {byRequest, e.Request}, {byOutcome, outcomeValue(e)}, {byIP, e.Actor.IP},
	}
	for _, word := range tokens(e.Actor.Name) {
		all = append(all, filter{byActorName, word})
	}
	for i, c := range e.Action {
		if c == '.' {
			all = append(all, filter{byAction, e.Action[:i]})
		}
	}
	if e.Object.Kind == "auth_config" {
		all = append(all, filter{byConfig, e.Object.ID}, filter{byConfigName, strings.ToLower(e.Object.Name)})
	}
	toolkits := strings.Fields(strings.ToLower(e.Detail["toolkit"]))
	for _, slug := range toolkits {
		all = append(all, filter{byToolkit, slug})
	}
	if len(toolkits) == 1 {
		all = append(all, filter{byOneToolkit, toolkits[0]})
	}
	for property, has := range properties {
		if has(e) {
			all = append(all, filter{byProperty, property})
		}
	}
	return slices.DeleteFunc(all, func(f filter) bool { return f.value == "" })
}

// actorValue is the id of a person, and for who isn't one the kind of actor.
func actorValue(e audit.Entry) string {
	if e.Actor.ID != "" {
		return e.Actor.ID
	}
	return e.Actor.Kind
}

func outcomeValue(e audit.Entry) string {
	if e.Outcome == "" {
		return audit.OK
	}
	return e.Outcome
}

// properties are what is: may ask for.
var properties = map[string]func(audit.Entry) bool{
	"drift":  func(e audit.Entry) bool { return e.Actor.Kind == audit.ActorOutside },
	"system": func(e audit.Entry) bool { return e.Actor.Kind == audit.ActorSystem },
	"denied": func(e audit.Entry) bool { return e.Outcome == audit.Denied },
	"failed": func(e audit.Entry) bool { return e.Outcome == audit.Failed },
	"widened": func(e audit.Entry) bool {
		return scopesGrew(e, func(c audit.Change) ([]string, []string) { return c.Before, c.After })
	},
	"narrowed": func(e audit.Entry) bool {
		return scopesGrew(e, func(c audit.Change) ([]string, []string) { return c.After, c.Before })
	},
}

// scopesGrew reports whether an auth config that was there before has scopes on
// one side of a change that the other side lacks.
func scopesGrew(e audit.Entry, sides func(audit.Change) (less, more []string)) bool {
	if e.Object.Kind != "auth_config" || outcomeValue(e) != audit.OK || strings.Contains(e.Action, ".created") || strings.Contains(e.Action, ".deleted") {
		return false
	}
	return slices.ContainsFunc(e.Changes, func(c audit.Change) bool {
		if c.Field != "scopes" && c.Field != "user_scopes" || mirror.WasHidden(e.Event, c.Field) {
			return false
		}
		less, more := sides(c)
		return slices.ContainsFunc(more, func(s string) bool { return !slices.Contains(less, s) })
	})
}

// filterToken makes one token of a filter, another one for each value.
func filterToken(kind, value string) string {
	short := value[:min(len(value), 48)]
	safe := strings.Map(func(r rune) rune {
		switch {
		case r == '_', '0' <= r && r <= '9', 'a' <= r && r <= 'z':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, short)
	if safe == value {
		return kind + "." + safe
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(value)) // never fails
	return kind + "." + safe + "." + strconv.FormatUint(h.Sum64(), 36)
}

// tokens splits text into words.
func tokens(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

const (
	leastPrefix  = 3  // letters
	longestCoded = 12 // bytes of words with digits that are no ids
)

// begins reports whether a word can be found by its beginning. Ids and the like
// can't.
func begins(word string) bool {
	return len(word) <= longestCoded || !strings.ContainsFunc(word, unicode.IsDigit)
}

// isPrefix reports whether what is searched for finds longer words too.
func isPrefix(word string) bool { return utf8.RuneCountInString(word) >= leastPrefix && begins(word) }

// text is the document as it goes into the index.
func (d document) text() string { return strings.Join(slices.Collect(maps.Keys(d.tokens)), " ") }
