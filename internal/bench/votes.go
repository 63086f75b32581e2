package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/composio/sandbox"
)

// votes measures approvals while a project is read for the first time, which
// writes all of its configs.
func (b *bench) votes(ctx context.Context) error {
	const voteRounds, each = 5, 120
	people, admin, err := b.voting(ctx)
	if err != nil {
		return err
	}
	ids, err := openIDs(people[0])
	if err != nil {
		return err
	}
	ballots := ballots{people: people, ids: ids}
	first, err := b.boxAgain()
	if err != nil {
		return err
	}
	defer first.Close()
	g := goal{ID: "G21", Name: fmt.Sprintf("a vote while %d configs are read for the first time, p99 ms", b.configs), AtMost: true, Floor: 40, Target: 20}
	forms, err := ballots.next(each)
	if err != nil {
		return err
	}
	quiet, err := votedIn(ctx, forms)
	if err != nil {
		return err
	}
	g.Ceiling = "alone " + quiet.String()
	for round := range voteRounds {
		forms, err := ballots.next(each)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("a%d", voteRounds-round) // the newest is the first to be read
		stop, err := b.firstSync(ctx, admin, name)
		if err != nil {
			return err
		}
		defer stop()
		took, err := votedIn(ctx, forms)
		if err != nil {
			return err
		}
		if err := admin.synced(name); err != nil {
			return err
		}
		g.Ratios, g.Ours = append(g.Ratios, took.p99), took.String()
	}
	b.report.add(g)
	return nil
}

// votedIn sends votes and returns how long they took.
func votedIn(ctx context.Context, forms []filled) (times, error) {
	all, err := paced(ctx, forms, 15*time.Millisecond, nil)
	slices.Sort(all)
	return times{p50: all[len(all)/2], p99: all[len(all)*99/100]}, err
}

func (t times) String() string { return fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", t.p50, t.p99) }

// voting starts a console as people have it, and signs in who takes part.
func (b *bench) voting(ctx context.Context) (people []poster, admin poster, err error) {
	if err := b.children[len(b.children)-1].stop(); err != nil {
		return nil, admin, err
	}
	console, err := b.launchFree(ctx, b.env(), b.console, "serve")
	if err != nil {
		return nil, admin, err
	}
	if people, err = b.posters(console); err != nil {
		return nil, admin, err
	}
	cookie, err := signIn(console.url, email)
	return people, poster{console.url, cookie}, err
}

// boxAgain serves the first project where the console expects it: every sync
// reads it, too.
func (b *bench) boxAgain() (*httptest.Server, error) {
	listener, err := net.Listen("tcp", b.boxAddr)
	if err != nil {
		return nil, err
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: b.box, ReadHeaderTimeout: time.Second}}
	server.Start()
	return server, nil
}

// firstSync adds a project and returns when its configs are being read.
func (b *bench) firstSync(ctx context.Context, admin poster, name string) (stop func(), err error) {
	const reading = 4 // calls are more than a look at the key
	begun, asked := make(chan struct{}), atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == reading {
			close(begun)
		}
		b.box.ServeHTTP(w, r)
	}))
	project, err := admin.fill("/settings/projects", "/settings/projects", url.Values{"name": {name}, "slug": {name}, "environment": {"development"}, "base_url": {server.URL}, "secret.api_key": {sandbox.StagingKey}})
	if err != nil {
		return server.Close, err
	}
	if _, err := project.send(ctx); err != nil {
		return server.Close, err
	}
	select {
	case <-begun:
		return server.Close, nil
	case <-time.After(time.Minute):
		return server.Close, errors.New("the sync didn't begin")
	}
}

// synced makes sure that a project was read by now.
func (p poster) synced(slug string) error {
	text, err := fetch(p.base+"/projects/"+slug+"/auth-configs", p.header())
	if err == nil && !strings.Contains(string(text), `data-id="`) {
		err = errors.New("the sync was not over with the votes")
	}
	return err
}

// ballots hands out approvals that can still be given.
type ballots struct {
	people []poster
	ids    []string
	at     int
}

func (v *ballots) next(n int) ([]filled, error) {
	var forms []filled
	for used := map[string]bool{}; len(forms) < n; v.at++ {
		if v.at >= len(v.ids)*len(v.people) {
			return nil, errors.New("nothing is left to vote on")
		}
		id := v.ids[v.at%len(v.ids)]
		at := "/changes/" + id
		if used[id] {
			return nil, errors.New("too few requests to vote on")
		}
		f, err := v.people[(v.at+v.at/len(v.ids))%len(v.people)].fill(at, at+"/approve", url.Values{"reason": {""}})
		if errors.Is(err, errNoForm) {
			continue
		}
		if err != nil {
			return nil, err
		}
		used[id] = true
		forms = append(forms, f)
	}
	return forms, nil
}
