package main

import (
	"fmt"
	"net/http"
)

// A compared is a goal whose ratio is the cost of one route over another's.
type compared struct {
	goal
	above, below string
}

// changeGoals are half of what is asked of the list page.
func (b *bench) changeGoals() []compared {
	half := func(name, above, below string) compared {
		return compared{goal{ID: "G1/2", Name: fmt.Sprintf("%s, of %d requests", name, b.requests), Floor: 0.30, Target: 0.425}, above, below}
	}
	return []compared{
		half("inbox, needs me", ceilingNeeds, inboxNeeds), half("inbox, all open", ceilingOpen, inboxOpen), half("inbox, mine", ceilingDone, inboxMine),
		half("inbox, watching", ceilingDone, inboxWatching), half("inbox, done", ceilingDone, inboxDone), half("a change request", ceilingChange, oneChange),
	}
}

// changeRoutes are the pages about change requests, as the reviewer asks for them.
// Tabs are followed from page to page.
func (b *bench) changeRoutes(ceilings, console *child) ([]measured, error) {
	cookie, err := signIn(console.url, reviewer)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}
	const n, workers = 500, 16
	fixed := func(name, path string) measured {
		return measured{name, ceilings, job{URLs: []string{ceilings.url + path}, Header: h, N: n, Workers: workers, Status: http.StatusOK}}
	}
	routes := []measured{
		fixed(ceilingNeeds, "/needs"), fixed(ceilingOpen, "/open"), fixed(ceilingDone, "/done"), fixed(ceilingChange, "/change"),
		{oneChange, console, job{URLs: []string{console.url + "/changes/" + b.dossier}, Header: h, N: n, Workers: workers, Status: http.StatusOK}},
	}
	for _, tab := range []struct{ name, key string }{{inboxNeeds, "needs"}, {inboxOpen, "open"}, {inboxMine, "mine"}, {inboxWatching, "watching"}, {inboxDone, "done"}} {
		all, err := everyPage(console.url, "/changes?tab="+tab.key, h)
		if err != nil {
			return nil, err
		}
		if len(all) > 1 {
			all = all[:len(all)-1] // the last is short
		}
		routes = append(routes, measured{tab.name, console, job{URLs: all, Header: h, N: n, Workers: workers, Status: http.StatusOK}})
	}
	return routes, nil
}
