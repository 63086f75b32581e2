package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // to fill by hand

	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// seed fills the data directory with n entries of history, as a team of 200 would
// have written them over two years, and keeps those that are there. Rows are put
// into the file by hand, many in a transaction, since one by one takes hours.
func seed(ctx context.Context, dir string, n int) (err error) {
	st, err := store.Open(dir, store.Options{}) // makes the tables
	if err != nil {
		return err
	}
	head, err := st.HistoryHead(ctx)
	if err = errors.Join(err, st.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, store.DatabaseFile)+"?_journal_mode=WAL&_synchronous=NORMAL&_cache_size=-65536")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	const atOnce = 20_000
	for int(head.Seq) < n {
		if head, err = seedSome(ctx, db, head, min(atOnce, n-int(head.Seq)), n); err != nil {
			return err
		}
		if head.Seq%500_000 == 0 {
			fmt.Fprintf(os.Stderr, "bench: %d entries\n", head.Seq)
		}
	}
	return nil
}

// seedSome adds n of all entries in one transaction.
func seedSome(ctx context.Context, db *sql.DB, head audit.Head, n, all int) (audit.Head, error) {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return head, err
	}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	ctx = context.WithoutCancel(ctx)
	row, err := t.PrepareContext(ctx, "INSERT INTO history (seq, body, prev, hash) VALUES (?, ?, ?, ?)")
	if err != nil {
		return head, err
	}
	personal, err := t.PrepareContext(ctx, "INSERT INTO history_personal (seq, field, salt, value) VALUES (?, ?, ?, ?)")
	if err != nil {
		return head, err
	}
	const years = 2 * 365 * 24 * time.Hour
	begin := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	for range n {
		random := rand.New(rand.NewPCG(5, uint64(head.Seq)))
		at := begin.Add(years / time.Duration(all) * time.Duration(head.Seq))
		r, err := audit.Seal(head, lifelike(random), at)
		if err != nil {
			return head, err
		}
		if _, err := row.ExecContext(ctx, r.Seq, r.Body, r.Prev[:], r.Hash[:]); err != nil {
			return head, err
		}
		for _, p := range r.Personal {
			if _, err := personal.ExecContext(ctx, r.Seq, p.Field, p.Salt, p.Value); err != nil {
				return head, err
			}
		}
		head = audit.Head{Seq: r.Seq, Hash: r.Hash}
	}
	return head, t.Commit()
}

var (
	deeds   = []string{"auth_config.updated", "auth_config.updated", "auth_config.disabled", "auth_config.enabled", "change.submitted", "change.voted", "change.applied", "session.signed_in"}
	reasons = words(2000)
)

// words are made up, each different.
func words(n int) []string {
	all := make([]string, n)
	for i := range all {
		for k := i + 400; k > 0; k /= 20 {
			all[i] += string("bdfgklmnprstvwz"[k%15]) + string("aeiou"[k%5])
		}
	}
	return all
}

// lifelike is one entry. Some people, toolkits and words are met more than others.
func lifelike(random *rand.Rand) audit.Event {
	often := func(n int) int { return int(float64(n) * random.Float64() * random.Float64()) }
	person, config := often(200), often(10_000)
	toolkit := toolkits[config%len(toolkits)]
	e := audit.Event{
		Actor:   audit.Actor{Kind: audit.ActorUser, ID: fmt.Sprintf("usr_%04d", person), Name: fmt.Sprintf("Person %d", person), Email: fmt.Sprintf("p%d@example.com", person), IP: fmt.Sprintf("192.0.2.%d", person)},
		Action:  deeds[random.IntN(len(deeds))],
		Object:  audit.Object{Kind: "auth_config", ID: fmt.Sprintf("ac_%012d", config), Name: fmt.Sprintf("%s-%06d", toolkit, config)},
		Project: []string{"prj_staging", "prj_production"}[config%2],
		Request: fmt.Sprintf("chg_%012d", random.IntN(1_000_000)),
		Detail:  map[string]string{"toolkit": toolkit},
	}
	if e.Action == "auth_config.updated" {
		scopes := [][]string{{"repo"}, {"repo", "read:" + toolkit}}
		if random.IntN(2) == 0 {
			scopes[0], scopes[1] = scopes[1], scopes[0]
		}
		e.Changes = []audit.Change{{Field: "scopes", Before: scopes[0], After: scopes[1]}}
	}
	if random.IntN(3) == 0 {
		said := make([]string, 3+random.IntN(8))
		for i := range said {
			said[i] = reasons[often(len(reasons))]
		}
		e.Reason = strings.Join(said, " ")
	}
	switch random.IntN(50) {
	case 0:
		e.Outcome = audit.Denied
	case 1:
		e.Actor = audit.Actor{Kind: audit.ActorOutside}
	case 2:
		e.Outcome = audit.Failed
	}
	return e
}

// searches are queries of up to three terms, the hard ones among them: common
// terms that seldom or never meet, and beginnings that nearly every entry has.
func searches() []string {
	return []string{
		"actor:usr_0007", "action:auth_config.updated", "github", "is:widened", "toolkit:github action:auth_config.updated",
		"actor:usr_0199 action:change.applied toolkit:slack", "is:drift toolkit:jira", "is:widened is:narrowed toolkit:github",
		"is:drift actor:usr_0001", "action:change.voted outcome:denied", "-toolkit:github -outcome:ok", "config:ac_000000000042",
		"request:chg_000000000042", "request:chg_000000000042 toolkit:zoom", "pers", "person example -github", "192.0.2.7",
		reasons[3] + " " + reasons[5], `"` + reasons[3] + " " + reasons[5] + `"`, reasons[1900], "nothinglikethis",
		"actor:usr_0007 after:2025-01 before:2025-02", "after:2024-07 before:2024-08 github scopes", "project:prj_staging toolkit:github outcome:failed",
		"action:auth_config.disabled scopes " + reasons[0], "actor:usr_0001 actor:usr_0190 is:denied",
	}
}

func entriesText(n int) string {
	if n >= 1_000_000 && n%1_000_000 == 0 {
		return strconv.Itoa(n/1_000_000) + " M"
	}
	return strconv.Itoa(n)
}
