package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gatehouse/internal/audit"
)

// record puts events at the end of history, in this transaction.
func (t *tx) record(events ...audit.Event) error {
	for _, e := range events {
		if err := t.recordOne(e); err != nil {
			return fmt.Errorf("record %s: %w", e.Action, err)
		}
	}
	return nil
}

func (t *tx) recordOne(e audit.Event) error {
	if t.head == nil {
		head, err := t.w.lastHead()
		if err != nil {
			return err
		}
		t.head = &head
	}
	row, err := audit.Seal(*t.head, e, t.now)
	if err != nil {
		return err
	}
	if err := t.exec("INSERT INTO history (seq, body, prev, hash) VALUES ($1, $2, $3, $4)", row.Seq, row.Body, row.Prev[:], row.Hash[:]); err != nil {
		return errors.Join(err, t.w.compareHead(*t.head))
	}
	if err := t.recordPersonal(row); err != nil {
		return err
	}
	*t.head = audit.Head{Seq: row.Seq, Hash: row.Hash}
	t.isAbout(e.Request)
	t.entries++
	t.weighty = t.weighty || e.Weighty()
	if err := errors.Join(t.noteStep(row.Seq, e), t.noteNews(row.Seq, e)); err != nil {
		return err
	}
	return t.noteDrift(audit.Entry{Event: e, Seq: row.Seq, Time: t.now})
}

// recordPersonal writes all personal data of a row with one statement.
func (t *tx) recordPersonal(row audit.Row) error {
	n := len(row.Personal)
	if n == 0 {
		return nil
	}
	args := make([]any, 0, 4*n)
	for _, p := range row.Personal {
		args = append(args, row.Seq, p.Field, p.Salt, p.Value)
	}
	return t.exec(personalQueries[n], args...)
}

// personalQueries insert so many pieces of personal data.
var personalQueries = func() (all [7]string) {
	for n := 1; n < len(all); n++ {
		var rows []string
		for i := 0; i < 4*n; i += 4 {
			rows = append(rows, fmt.Sprintf("($%d, $%d, $%d, $%d)", i+1, i+2, i+3, i+4))
		}
		all[n] = "INSERT INTO history_personal (seq, field, salt, value) VALUES " + strings.Join(rows, ", ")
	}
	return all
}()

const headQuery = "SELECT seq, hash FROM history WHERE seq = (SELECT MAX(seq) FROM history)"

func readHead(row scanner) (audit.Head, error) {
	var h audit.Head
	var hash []byte
	err := row.Scan(&h.Seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	copy(h.Hash[:], hash)
	return h, err
}

// HistoryHead returns the last entry's number and hash.
func (s *Store) HistoryHead(ctx context.Context) (audit.Head, error) {
	return readHead(s.row(ctx, headQuery))
}

const historyColumns = "seq, body, prev, hash"

// HistoryRows calls fn for the stored rows with seq in [from, to], in order. It
// holds them all in memory.
func (s *Store) HistoryRows(ctx context.Context, from, to int64, fn func(audit.Row) error) error {
	var out []audit.Row
	err := s.each(ctx, func(row scanner) error {
		r, err := scanHistory(row)
		out = append(out, r)
		return err
	}, "SELECT "+historyColumns+" FROM history WHERE seq BETWEEN $1 AND $2 ORDER BY seq", from, to)
	if err != nil || len(out) == 0 {
		return err
	}
	// Read after the rows: what was written with them is there by now.
	personal, err := s.personal(ctx, from, out[len(out)-1].Seq)
	if err != nil {
		return err
	}
	for _, r := range out {
		r.Personal = personal[r.Seq]
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func scanHistory(row scanner) (audit.Row, error) {
	var r audit.Row
	var prev, hash []byte
	if err := row.Scan(&r.Seq, &r.Body, &prev, &hash); err != nil {
		return r, err
	}
	copy(r.Prev[:], prev)
	copy(r.Hash[:], hash)
	if len(prev) != len(r.Prev) || len(hash) != len(r.Hash) {
		r.Hash = audit.Hash{} // never right
	}
	return r, nil
}

func (s *Store) personal(ctx context.Context, from, to int64) (map[int64][]audit.Personal, error) {
	out := map[int64][]audit.Personal{}
	err := s.each(ctx, func(row scanner) error {
		var seq int64
		var p audit.Personal
		if err := row.Scan(&seq, &p.Field, &p.Salt, &p.Value); err != nil {
			return err
		}
		out[seq] = append(out[seq], p)
		return nil
	}, "SELECT seq, field, salt, value FROM history_personal WHERE seq BETWEEN $1 AND $2 ORDER BY seq, field", from, to)
	return out, err
}

// HistoryEntry returns one entry, by [audit.Look].
func (s *Store) HistoryEntry(ctx context.Context, seq int64) (audit.Entry, error) {
	entries, err := s.entries(ctx, []int64{seq})
	if err != nil {
		return audit.Entry{}, err
	}
	if len(entries) == 0 {
		return audit.Entry{}, missing(sql.ErrNoRows, "history entry")
	}
	return entries[0], nil
}

// entries reads entries by number, in the order asked for; missing ones are left out.
func (s *Store) entries(ctx context.Context, seqs []int64) ([]audit.Entry, error) {
	rows, err := s.HistoryRowsOf(ctx, seqs)
	if err != nil {
		return nil, err
	}
	out := make([]audit.Entry, len(rows))
	for i, r := range rows {
		out[i] = audit.Look(r)
	}
	return out, nil
}
