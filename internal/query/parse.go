package query

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// unseen reports whether a character shows nothing, or turns the text around.
func unseen(r rune) bool { return unicode.In(r, unicode.C) && !unicode.IsSpace(r) }

// Parse reads a text. The error is an [*Error].
func (l Language) Parse(text string) (Query, error) {
	if len(text) > MaxBytes {
		return Query{}, &Error{Message: "This search has " + strconv.Itoa(len(text)) + " bytes, " + strconv.Itoa(MaxBytes) + " are allowed. Say it shorter, or search in parts.", At: cut(text, MaxBytes), Len: len(text) - cut(text, MaxBytes)}
	}
	if at := strings.IndexFunc(text, unseen); at >= 0 {
		_, n := utf8.DecodeRuneInString(text[at:])
		return Query{}, &Error{Message: "Here is a character that can't be seen, or turns the text around. Leave it out.", At: at, Len: n}
	}
	p := parser{language: l, text: text}
	var q Query
	for {
		t, more, err := p.next()
		if err != nil {
			return Query{}, err
		}
		if !more {
			return q, q.possible()
		}
		if len(q.Terms) == MaxTerms {
			return Query{}, &Error{At: t.At, Len: len(text) - t.At, Message: "A search may have " + strconv.Itoa(MaxTerms) + " terms, this is one more. Leave some out."}
		}
		q.Terms = append(q.Terms, t)
	}
}

// cut is the last place at or before n where a character begins.
func cut(text string, n int) int {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}

// possible refuses dates that leave nothing.
func (q Query) possible() error {
	from, to := q.Span(time.Now())
	if from.IsZero() || to.IsZero() || from.Before(to) {
		return nil
	}
	for _, t := range slices.Backward(q.Terms) {
		if t.Key == Before || t.Key == After {
			return t.Wrong("Nothing can be there: after: %s begins where before: %s has ended, or later.", from.Format(time.DateOnly), to.Format(time.DateOnly))
		}
	}
	return nil
}

// A parser reads terms one after the other.
type parser struct {
	language Language
	text     string
	at       int
}

// isSpace reports whether a character parts terms. Control characters do, and
// what isn't a character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == utf8.RuneError
}

func (p *parser) skip(is func(rune) bool) {
	for p.at < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if !is(r) {
			return
		}
		p.at += n
	}
}

func (p *parser) wrong(at int, message string) *Error {
	return &Error{At: at, Len: max(p.at, at+1) - at, Message: message}
}

func (p *parser) next() (t Term, more bool, err error) {
	p.skip(isSpace)
	if p.at == len(p.text) {
		return t, false, nil
	}
	t.At = p.at
	if p.text[p.at] == '-' {
		t.Not = true
		p.at++
	}
	if err := p.rest(&t); err != nil {
		return t, false, err
	}
	t.Len = p.at - t.At
	if len(t.Value) > maxValue {
		return t, false, t.Wrong("This is too long to search for: %d bytes are allowed.", maxValue)
	}
	if t.Key == "" {
		if !strings.ContainsFunc(t.Value, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }) {
			return t, false, t.Wrong("There is no word in this. Search for words, or use %s.", p.language.names())
		}
		return t, true, nil
	}
	if err := p.language.check(&t); err != nil {
		return t, false, err
	}
	return t, true, nil
}

// rest reads a term after its sign.
func (p *parser) rest(t *Term) error {
	begin := p.at
	if p.at < len(p.text) && p.text[p.at] == '"' {
		t.Quoted = true
		return p.quoted(t)
	}
	p.skip(func(r rune) bool { return !isSpace(r) && r != ':' && r != '"' })
	if p.at == len(p.text) || p.text[p.at] != ':' {
		p.skip(func(r rune) bool { return !isSpace(r) && r != '"' })
		t.Value = strings.TrimLeft(p.text[begin:p.at], "-")
		if t.Value == "" {
			return p.wrong(t.At, "A minus needs something behind it that is not to be found, such as -is:drift.")
		}
		return nil
	}
	t.Key = strings.ToLower(p.text[begin:p.at])
	p.at++
	if _, ok := p.language.Key(t.Key); !ok {
		p.skip(func(r rune) bool { return !isSpace(r) })
		return p.wrong(t.At, "There is no key “"+shorten(t.Key)+":”. There are "+p.language.names()+". To search for the text itself, put it in quotes.")
	}
	if p.at < len(p.text) && p.text[p.at] == '"' {
		return p.quoted(t)
	}
	begin = p.at
	p.skip(func(r rune) bool { return !isSpace(r) && r != '"' })
	t.Value = p.text[begin:p.at]
	return nil
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:cut(s, 40)] + "…"
	}
	return s
}

// quoted reads a value in quotes, in which \" is a quote.
func (p *parser) quoted(t *Term) error {
	open := p.at
	var b strings.Builder
	for p.at++; p.at < len(p.text); {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		switch {
		case r == '"':
			p.at++
			t.Value = strings.TrimSpace(b.String())
			return nil
		case r == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '"' || p.text[p.at+1] == '\\'):
			b.WriteByte(p.text[p.at+1])
			n = 2
		case isSpace(r):
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
		p.at += n
	}
	return p.wrong(open, "This quote is never closed.")
}

// check makes sure that a key takes the value, and writes it as it is compared.
func (l Language) check(t *Term) *Error {
	k, _ := l.Key(t.Key)
	if t.Value == "" {
		return t.Wrong("%s: needs a value, such as %s.", t.Key, k.Example)
	}
	switch {
	case k.date && t.Not:
		return t.Wrong("A date can't be excluded. Use %s: and %s: instead.", After, Before)
	case k.date:
		t.Value = strings.ToLower(t.Value)
		if _, err := Date(t.Value, time.Now()); err != nil {
			return t.Wrong("%s", err.Error())
		}
	case len(k.Values) > 0:
		t.Value = strings.ToLower(t.Value)
		if !slices.Contains(k.Values, t.Value) {
			return t.Wrong("%s: takes %s.", t.Key, strings.Join(k.Values, ", "))
		}
	case k.address:
		a, err := netip.ParseAddr(t.Value)
		if err != nil {
			return t.Wrong("“%s” is not an IP address. Write one such as 192.0.2.7 or 2001:db8::1.", shorten(t.Value))
		}
		t.Value = a.String()
	}
	return nil
}
