package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"gatehouse/web/templates"
)

// serveCeilings answers as fast as Echo and templ can: the same page over fixed
// rows, with nothing to look up and nobody to recognize.
func serveCeilings(addr string) error {
	frame, view := fixedView()
	buffers := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	draw := func(path string, page templ.Component) {
		e.GET(path, func(c echo.Context) error {
			b := buffers.Get().(*bytes.Buffer)
			b.Reset()
			defer buffers.Put(b)
			if err := page.Render(c.Request().Context(), b); err != nil {
				return err
			}
			h := c.Response().Header()
			h.Set(echo.HeaderContentType, "text/html; charset=utf-8")
			h.Set(echo.HeaderContentLength, strconv.Itoa(b.Len()))
			c.Response().WriteHeader(http.StatusOK)
			_, err := c.Response().Write(b.Bytes())
			return err
		})
	}
	draw("/page", fixedPage(frame, view))
	draw("/needs", templates.Changes(fixedChanges("needs")))
	draw("/open", templates.Changes(fixedChanges("open")))
	draw("/done", templates.Changes(fixedChanges("done")))
	draw("/change", templates.Change(fixedChange()))
	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024), gzhttp.CompressionLevel(1), gzhttp.ContentTypes([]string{"text/html"}))
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Second, Handler: zip(e)}
	return server.ListenAndServe()
}

// fixedView is a list page as an admin sees it, of about the size of the real
// one; the bench compares the sizes before it believes the ratio.
func fixedView() (templates.PageView, templates.ConfigsView) {
	const base = "/projects/bench/auth-configs"
	form := func(action templates.URL) templates.FormView {
		return templates.FormView{Action: action, Token: "0123456789012345678901234567890123456789012", OpID: "0123456789abcdef.0123456789012345678901"}
	}
	staging := templates.EnvironmentView{Name: "staging", Text: "Staging"}
	frame := templates.PageView{
		Title: "Auth configs", Theme: "system", Keys: true,
		Reader: templates.ReaderView{Name: "Ada Admin", Roles: "Admin, Editor", Avatar: templates.AvatarView{Letter: "AA", Hue: "3"}, URL: "/account"},
		Nav: []templates.NavView{
			{Name: "Overview", URL: "/", Icon: "layout-dashboard"}, {Name: "Auth configs", URL: base, Icon: "key-round", Current: true},
			{Name: "Changes", URL: "/changes", Icon: "git-pull-request-arrow"}, {Name: "History", URL: "/history", Icon: "file-clock"},
			{Name: "People", URL: "/people", Icon: "users"}, {Name: "Policies", URL: "/policies", Icon: "shield-check"}, {Name: "Settings", URL: "/settings", Icon: "settings"},
		},
		Environment: staging,
		Projects:    templates.SwitcherView{Name: "Bench", Environment: staging, All: []templates.ProjectLinkView{{Name: "Bench", URL: base, Environment: staging, Current: true}}},
		Crumbs:      []templates.LinkView{{Text: "Bench", URL: base}, {Text: "Auth configs"}},
		Search:      templates.SearchView{URL: base},
		Sync:        templates.SyncView{Tone: "good", Lead: "Synced", Time: fixedTime(), Now: form("/projects/bench/sync")},
		SignOut:     form("/signout"), ThemeForm: form("/theme"),
	}
	v := templates.ConfigsView{
		Create: base + "/new", Summary: "10,000 auth configs, 1,500 of them disabled", Bulk: base + "/bulk",
		Filter:  templates.ConfigFilterView{Action: base, Toolkits: options("All toolkits", 60), Schemes: options("All schemes", 9), Statuses: options("Enabled and disabled", 2), Owners: options("Any credentials", 2)},
		Density: templates.LinkView{Text: "Dense", URL: base + "?density=dense"},
		Pager:   templates.PagerView{Text: "1–50 of 10,000", Next: base + "?after=github-000001"},
	}
	for _, name := range []string{"Name", "Toolkit", "Scheme", "Credentials", "Connections", "Last change", "Status"} {
		v.Columns = append(v.Columns, templates.ColumnView{Text: name, Sort: base + "?sort=name"})
	}
	random := rand.New(rand.NewPCG(4, 4))
	for i := range 50 {
		id := "ac_" + base64.RawURLEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, random.Uint64()))
		toolkit, day := toolkits[i%len(toolkits)], time.Date(2025, 1, 1, 0, 0, random.IntN(300*24*3600), 0, time.UTC)
		name := fmt.Sprintf("%s-%s-%05d", toolkit, toolkits[random.IntN(len(toolkits))], random.IntN(10_000))
		v.Rows = append(v.Rows, templates.ConfigRowView{
			ID: id, Name: name, URL: templates.URL(base + "/" + id), Avatar: templates.AvatarView{Letter: "G", Hue: strconv.Itoa(i % 8)},
			Toolkit: toolkit, Scheme: "OAUTH2", Owner: "Managed", Connections: strconv.Itoa(random.IntN(1000)), Status: templates.BadgeView{Text: "Enabled", Tone: "good"},
			Changed: templates.TimeView{Text: day.Format("2 Jan 2006"), ISO: day.Format(time.RFC3339), Full: day.Format("2 Jan 2006, 15:04:05 UTC")}, Switch: templates.URL(base + "/" + id + "/impact?do=disable"), SwitchText: "Disable",
		})
	}
	return frame, v
}

func fixedTime() templates.TimeView {
	return templates.TimeView{Text: "2 minutes ago", ISO: "2026-01-02T03:04:05Z", Full: "2 January 2026, 03:04:05 UTC", Live: true}
}

func options(all string, n int) []templates.OptionView {
	out := []templates.OptionView{{Text: all, Selected: true}}
	for i := range n {
		name := fmt.Sprintf("toolkit%03d", i)
		out = append(out, templates.OptionView{Value: name, Text: name})
	}
	return out
}
