package sandbox

import (
	"slices"
	"strings"
	"time"
)

// catalogLimit is the most toolkits or tools on a page.
const catalogLimit = 1000

// listToolkits answers the most used first (EMU), deprecated ones only on
// request, as since 2025-12-19. All toolkits are Composio's own: managed_by
// project and type custom find none.
func listToolkits(s *Server, q *request) (any, *failure) {
	p := &query{q: q}
	category, search := p.text("category"), strings.ToLower(p.text("search"))
	managedBy := p.choice("managed_by", "all", "composio", "project")
	kind := p.choice("type", "all", "native", "custom")
	order := p.choice("sort_by", "usage", "alphabetically")
	deprecated := p.flag("include_deprecated")
	w := p.window(catalogLimit)
	if search != "" && len([]rune(search)) < 3 {
		p.complain("search", "String must contain at least 3 character(s)")
	}
	if f := p.failure(); f != nil {
		return nil, f
	}
	var found []*toolkit
	for _, t := range s.catalog.toolkits {
		none := kind == "custom" || kind == "all" && managedBy == "project"
		switch {
		case none, t.Deprecated && (deprecated == nil || !*deprecated):
		case category != "" && !s.catalog.in(t, category):
		case search != "" && !t.mentions(search):
		default:
			found = append(found, t)
		}
	}
	if order == "alphabetically" {
		slices.SortStableFunc(found, func(a, b *toolkit) int { return strings.Compare(a.Slug, b.Slug) })
	}
	return paged(s, w, found, func(t *toolkit) any { return s.catalog.item(t) }), nil
}

// in tells whether a toolkit has a category, by id or name.
func (c *catalog) in(t *toolkit, wanted string) bool {
	return slices.ContainsFunc(t.Categories, func(id string) bool {
		return strings.EqualFold(id, wanted) || strings.EqualFold(c.category(id), wanted)
	})
}

func (c *catalog) category(id string) string {
	for _, known := range c.categories {
		if known.ID == id {
			return known.Name
		}
	}
	return id
}

func (t *toolkit) mentions(search string) bool {
	return strings.Contains(t.Slug, search) ||
		strings.Contains(strings.ToLower(t.Name), search) ||
		strings.Contains(strings.ToLower(t.About), search)
}

func listCategories(s *Server, _ *request) (any, *failure) {
	whole := window{page: 1, asked: catalogLimit, limit: catalogLimit}
	return paged(s, whole, s.catalog.categories, func(c category) any { return c }), nil
}

func getToolkit(s *Server, q *request) (any, *failure) {
	t := s.catalog.toolkit(q.params[0])
	if t == nil {
		return nil, noToolkit(q.params[0])
	}
	return s.catalog.detail(t), nil
}

// versions are the versions a toolkit and its tools can be had in, the newest
// first. The last is the one v3 pins by default.
func (t *toolkit) versions() []string {
	return []string{t.Version, "20251201_00", "00000000_00"}
}

// created and updated are ISO times in lists; in details the real API was seen
// to answer with the likes of "Fri May 03 2024".
func (t *toolkit) created(form string) string {
	at, err := time.Parse(time.DateOnly, t.Created)
	if err != nil {
		return t.Created
	}
	return at.Format(form)
}

func (t *toolkit) updated(form string) string {
	at, err := time.Parse("20060102", t.Version[:min(8, len(t.Version))])
	if err != nil {
		return t.created(form)
	}
	return at.Format(form)
}
