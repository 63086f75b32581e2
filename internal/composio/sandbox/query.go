package sandbox

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// A query reads query parameters as the real server does: an empty value is
// absence, lists may be joined by commas, repeated, or both.
type query struct {
	q          *request
	complaints []string
}

func (p *query) complain(key, text string) {
	p.complaints = append(p.complaints, "Error in query."+key+": "+text)
}

func (p *query) failure() *failure {
	if len(p.complaints) == 0 {
		return nil
	}
	return invalid(p.complaints...)
}

// text is the first value that is not empty.
func (p *query) text(key string) string {
	for _, v := range p.q.query[key] {
		if v != "" {
			return v
		}
	}
	return ""
}

// list is nil when the parameter is absent.
func (p *query) list(key string) []string {
	var out []string
	for _, v := range p.q.query[key] {
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
	}
	return out
}

// flag is nil when the parameter is absent.
func (p *query) flag(key string) *bool {
	switch v := p.text(key); v {
	case "":
	case "true", "false":
		b := v == "true"
		return &b
	default:
		p.complain(key, "Expected boolean, received string")
	}
	return nil
}

// choice is one of the given words, the first when the parameter is absent.
func (p *query) choice(key string, words ...string) string {
	v := p.text(key)
	switch {
	case v == "":
		return words[0]
	case !slices.Contains(words, v):
		p.complain(key, "Invalid enum value. Expected '"+strings.Join(words, "' | '")+"', received '"+v+"'")
		return words[0]
	}
	return v
}

// A window is the part of a list that was asked for.
type window struct {
	page  int
	asked int // the page size asked for
	limit int // the page size given
}

// absurdLimit is where page sizes stop being counted with.
const absurdLimit = 1_000_000

// window reads limit and cursor. The default is 20; more than most is cut to
// most in silence. A cursor is the Base64 of "<page>-<limit>", or a bare page.
func (p *query) window(most int) window {
	w := window{page: 1, asked: 20}
	if v := p.text("limit"); v != "" {
		n, err := strconv.Atoi(v)
		switch {
		case err != nil:
			p.complain("limit", "Expected number, received string")
		case n < 1:
			p.complain("limit", "Number must be greater than or equal to 1")
		default:
			w.asked = min(n, absurdLimit)
		}
	}
	if v := p.text("cursor"); v != "" {
		page, limit, ok := parseCursor(v)
		if !ok {
			p.complain("cursor", "Invalid cursor")
		}
		w.page = page
		if limit > 0 {
			w.asked = min(limit, absurdLimit)
		}
	}
	w.limit = min(w.asked, most)
	return w
}

func parseCursor(s string) (page, limit int, ok bool) {
	if page, err := strconv.Atoi(s); err == nil {
		return max(page, 1), 0, page > 0
	}
	b, err := base64.StdEncoding.DecodeString(s)
	first, second, cut := strings.Cut(string(b), "-")
	if err != nil || !cut {
		return 1, 0, false
	}
	page, err1 := strconv.Atoi(first)
	limit, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil || page < 1 || limit < 1 {
		return 1, 0, false
	}
	return page, limit, true
}

// A list is the envelope of every list.
type list struct {
	Items       []any   `json:"items"`
	NextCursor  *string `json:"next_cursor"`
	TotalPages  int     `json:"total_pages"`
	CurrentPage int     `json:"current_page"`
	TotalItems  int     `json:"total_items"`
}

// paged cuts the window out of a list. With the lying-pagination quirk the
// envelope is made with the page size asked for, as was seen on 2026-07-20: a
// limit above the maximum then loses all but the first page.
func paged[T any](s *Server, w window, items []T, show func(T) any) list {
	size := w.limit
	if s.quirks.lyingPagination {
		size = w.asked
	}
	out := list{
		Items:       []any{},
		TotalPages:  (len(items) + size - 1) / size,
		CurrentPage: w.page,
		TotalItems:  len(items),
	}
	if from := min(w.page-1, len(items)) * w.limit; from < len(items) {
		for _, v := range items[from:min(from+w.limit, len(items))] {
			out.Items = append(out.Items, show(v))
		}
	}
	if w.page < out.TotalPages {
		next := base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(w.page+1) + "-" + strconv.Itoa(size)))
		out.NextCursor = &next
	}
	return out
}
