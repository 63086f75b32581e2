package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// A filter says whether an object is one that is looked for (RFC 7644, 3.4.2.2), and
// spends what looking costs.
type filter func(object, *meter) bool

// A meter is what work one request may still cause, in names and values looked at.
type meter struct{ left int }

// mostSteps is what one request may cause: more than any that makes sense.
const mostSteps = 5_000_000

// spend takes from what is left. It is false where that isn't enough.
func (m *meter) spend(n int) bool {
	m.left -= n
	return m.left >= 0
}

// tooMuch refuses a request whose work isn't finished.
func (m *meter) tooMuch() error {
	if m.left >= 0 {
		return nil
	}
	return invalid("tooMany", "This is too much work for one request. Nothing was changed. Send it in smaller parts.")
}

// Limits on filters.
const (
	longestFilter = 2000 // bytes
	deepestFilter = 20   // brackets in brackets
)

// parseFilter reads a filter.
func parseFilter(text string) (filter, error) {
	if len(text) > longestFilter {
		return nil, invalid("invalidFilter", "The filter is too long: at most %d bytes.", longestFilter)
	}
	words, err := filterWords(text)
	if err != nil {
		return nil, err
	}
	p := filterParser{words: words}
	f, err := p.either(0)
	if err == nil && len(p.words) > 0 {
		err = badFilter(p.words[0].text)
	}
	return f, err
}

func badFilter(at string) error {
	return invalid("invalidFilter", "The filter can't be read at %q. It should look like userName eq \"ada@example.com\".", short(at))
}

// A word is a part of a filter: a bracket, a name, or a value.
type word struct {
	text  string
	value any
	is    bool // it is a value
}

// filterWords cuts a filter into words.
func filterWords(text string) ([]word, error) {
	var out []word
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		switch {
		case strings.ContainsRune("()[]", rune(text[0])):
			out = append(out, word{text: text[:1]})
			text = text[1:]
		case text[0] == '"':
			d := json.NewDecoder(strings.NewReader(text))
			var s string
			if err := d.Decode(&s); err != nil {
				return nil, badFilter(text)
			}
			n := d.InputOffset()
			out = append(out, word{text: text[:n], value: s, is: true})
			text = text[n:]
		default:
			n := strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`()[]"`, r) })
			if n < 0 {
				n = len(text)
			}
			out = append(out, literal(text[:n]))
			text = text[n:]
		}
	}
	return out, nil
}

// literal is a bare word, which may be a value.
func literal(s string) word {
	w := word{text: s}
	switch strings.ToLower(s) {
	case "true", "false":
		w.value, w.is = strings.EqualFold(s, "true"), true
	case "null":
		w.is = true
	default:
		var n json.Number
		if json.Unmarshal([]byte(s), &n) == nil {
			w.value, w.is = n, true
		}
	}
	return w
}

// A filterParser takes words from the front.
type filterParser struct{ words []word }

func (p *filterParser) takes(text string) bool {
	if len(p.words) == 0 || p.words[0].is || !strings.EqualFold(p.words[0].text, text) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *filterParser) next() word {
	if len(p.words) == 0 {
		return word{}
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *filterParser) either(depth int) (filter, error) {
	f, err := p.both(depth)
	for err == nil && p.takes("or") {
		var g filter
		a := f
		g, err = p.both(depth)
		f = func(o object, m *meter) bool { return a(o, m) || g(o, m) }
	}
	return f, err
}

func (p *filterParser) both(depth int) (filter, error) {
	f, err := p.one(depth)
	for err == nil && p.takes("and") {
		var g filter
		a := f
		g, err = p.one(depth)
		f = func(o object, m *meter) bool { return a(o, m) && g(o, m) }
	}
	return f, err
}

func (p *filterParser) one(depth int) (filter, error) {
	if depth > deepestFilter {
		return nil, invalid("invalidFilter", "The filter has too many brackets in brackets.")
	}
	not := p.takes("not")
	if p.takes("(") {
		f, err := p.either(depth + 1)
		if err == nil && !p.takes(")") {
			err = badFilter("the end")
		}
		if not && err == nil {
			return func(o object, m *meter) bool { return !f(o, m) }, nil
		}
		return f, err
	}
	name := p.next()
	if not || name.is || name.text == "" || !attribute(name.text) {
		return nil, badFilter(name.text)
	}
	if p.takes("[") {
		return p.within(name.text, depth)
	}
	return p.compared(name.text)
}

// within is a filter of the parts of a list: emails[type eq "work"].
func (p *filterParser) within(name string, depth int) (filter, error) {
	f, err := p.either(depth + 1)
	if err == nil && !p.takes("]") {
		err = badFilter("the end")
	}
	return func(o object, m *meter) bool {
		return slices.ContainsFunc(o.list(name), func(v any) bool {
			part, ok := v.(object)
			return ok && f(part, m)
		})
	}, err
}

// compared is a comparison of one attribute.
func (p *filterParser) compared(name string) (filter, error) {
	op := p.next()
	if strings.EqualFold(op.text, "pr") && !op.is {
		return func(o object, m *meter) bool { return slices.ContainsFunc(o.looked(name, m), present) }, nil
	}
	compare, known := comparisons[strings.ToLower(op.text)]
	want := p.next()
	if !known || op.is || !want.is {
		return nil, badFilter(op.text + " " + want.text)
	}
	exact := strings.EqualFold(bare(name), "externalId") || strings.EqualFold(bare(name), "id")
	text := folded(want.value, exact)
	if strings.EqualFold(op.text, "ne") {
		return func(o object, m *meter) bool {
			return !slices.ContainsFunc(o.looked(name, m), func(v any) bool { return folded(v, exact) == text })
		}, nil
	}
	return func(o object, m *meter) bool {
		return slices.ContainsFunc(o.looked(name, m), func(v any) bool { return present(v) && compare(folded(v, exact), text) })
	}, nil
}

var comparisons = map[string]func(have, want string) bool{
	"eq": func(have, want string) bool { return have == want }, "ne": nil,
	"co": strings.Contains, "sw": strings.HasPrefix, "ew": strings.HasSuffix,
	"gt": func(have, want string) bool { return have > want }, "ge": func(have, want string) bool { return have >= want },
	"lt": func(have, want string) bool { return have < want }, "le": func(have, want string) bool { return have <= want },
}

func present(v any) bool { return v != nil && v != "" }

// folded is a value as it is compared: without case, but where case counts.
func folded(v any, exact bool) string {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case bool:
		s = map[bool]string{true: "true", false: "false"}[v]
	case json.Number:
		s = v.String()
	}
	if exact {
		return s
	}
	return strings.ToLower(s)
}

// attribute reports whether a text may be the path of an attribute.
func attribute(s string) bool {
	return s != "" && len(s) <= 300 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$:.") == ""
}
