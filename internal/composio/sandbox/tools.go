package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// A tool is one action of a toolkit. Each of its terms has to be granted; any
// one scope of a term will do.
type tool struct {
	slug, name, about string
	toolkit           *toolkit
	terms             [][]string
	structured        bool // whether the API publishes the terms, not only the scopes
	tags              []string
	params            []param
}

type param struct{ name, kind, about string }

// makeTools expands the shorthand of the data file: either lines of
// "SLUG|about|scopes|kind[|important]", where commas separate terms and spaces
// their alternatives, or nouns with the scopes for reading and for writing.
func makeTools(t *toolkit) ([]*tool, error) {
	var out []*tool
	for _, line := range t.Lines {
		p := strings.Split(line, "|")
		if len(p) < 4 {
			return nil, fmt.Errorf("line %q has %d parts", line, len(p))
		}
		made := t.tool(p[0], p[1], p[3])
		made.structured = true
		for term := range strings.SplitSeq(p[2], ",") {
			if words := strings.Fields(term); len(words) > 0 {
				made.terms = append(made.terms, words)
			}
		}
		made.tags = append(made.tags, p[4:]...)
		out = append(out, made)
	}
	for noun, scopes := range t.Nouns {
		read, write, _ := strings.Cut(scopes, "|")
		out = append(out, t.nounTools(noun, read, write)...)
	}
	slices.SortFunc(out, func(a, b *tool) int { return strings.Compare(a.slug, b.slug) })
	return out, nil
}

// tool makes a tool without scopes.
func (t *toolkit) tool(suffix, about, kind string) *tool {
	name := strings.ToLower(strings.ReplaceAll(suffix, "_", " "))
	return &tool{
		slug:    strings.ToUpper(t.Slug) + "_" + suffix,
		name:    strings.ToUpper(name[:1]) + name[1:],
		about:   about + ".",
		toolkit: t,
		tags:    hints(kind),
		params:  params(kind),
	}
}

// nounTools makes the usual six actions on a noun.
func (t *toolkit) nounTools(noun, read, write string) []*tool {
	one := strings.ToUpper(noun)
	many, plain := plural(one), strings.ReplaceAll(noun, "_", " ")
	actions := []struct{ suffix, about, kind, scope string }{
		{"LIST_" + many, "Lists what there is of: " + plain, "read", read},
		{"GET_" + one, "Reads one " + plain, "read", read},
		{"SEARCH_" + many, "Finds by text: " + plain, "read", read},
		{"CREATE_" + one, "Makes a new " + plain, "create", write},
		{"UPDATE_" + one, "Changes one " + plain, "update", write},
		{"DELETE_" + one, "Removes one " + plain, "delete", write},
	}
	out := make([]*tool, len(actions))
	for i, a := range actions {
		out[i] = t.tool(a.suffix, a.about, a.kind)
		if a.scope != "" {
			out[i].terms = [][]string{{a.scope}}
		}
	}
	return out
}

func plural(noun string) string {
	switch {
	case strings.HasSuffix(noun, "Y") && !strings.HasSuffix(noun, "EY"):
		return noun[:len(noun)-1] + "IES"
	case strings.HasSuffix(noun, "CH"), strings.HasSuffix(noun, "S"):
		return noun + "ES"
	}
	return noun + "S"
}

// hints are the tags by which clients tell reading from writing.
func hints(kind string) []string {
	switch kind {
	case "read":
		return []string{"readOnlyHint", "idempotentHint"}
	case "delete":
		return []string{"destructiveHint"}
	case "create":
		return []string{"createHint"}
	}
	return []string{"updateHint"}
}

func params(kind string) []param {
	id := param{"id", "string", "Which one"}
	text := param{"text", "string", "What to write"}
	switch kind {
	case "read":
		return []param{{"query", "string", "What to look for"}, {"limit", "integer", "How many at most"}}
	case "create":
		return []param{text}
	case "update":
		return []param{id, text}
	}
	return []param{id}
}

// scopes are all scopes that may serve the tool.
func (t *tool) scopes() []string {
	out := []string{}
	for _, term := range t.terms {
		out = union(out, term)
	}
	return out
}

// minimal is a small set of scopes that serves all tools: what has no
// alternative, then the first choice of each term not yet served.
func minimal(tools []*tool) []string {
	out := []string{}
	for _, t := range tools {
		for _, term := range t.terms {
			if len(term) == 1 {
				out = union(out, term)
			}
		}
	}
	for _, t := range tools {
		for _, term := range t.terms {
			if !slices.ContainsFunc(term, func(s string) bool { return slices.Contains(out, s) }) {
				out = append(out, term[0])
			}
		}
	}
	slices.Sort(out)
	return out
}
