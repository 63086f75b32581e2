package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// OpenFile opens a database file for verification: nothing is asked of it but
// that SQLite can read it, and nothing is written beside it.
func OpenFile(path string) (*Store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	how := "?mode=ro"
	if wal, err := os.Stat(path + "-wal"); err != nil || wal.Size() == 0 {
		how += "&immutable=1" // nobody has it open
	}
	register()
	s := &Store{now: time.Now, log: slog.Default()}
	s.tree.store = s
	s.reads, err = sql.Open(driverIndex, "file:"+(&url.URL{Path: path}).EscapedPath()+how)
	if err != nil {
		return nil, err
	}
	s.reads.SetMaxOpenConns(4)
	s.reads.SetMaxIdleConns(4)
	s.sessions.reset()
	return s, nil
}

// What a batch of rows is, in one row: reading each by itself costs more than
// checking it.
const (
	packedRows = `SELECT count(*), MIN(seq), MAX(seq),
		SUM(typeof(body) = 'blob' AND typeof(prev) = 'blob' AND length(prev) = 32 AND typeof(hash) = 'blob' AND length(hash) = 32),
		group_concat(length(body)), group_concat(body, ''), group_concat(prev, ''), group_concat(hash, '')
		FROM history WHERE seq BETWEEN $1 AND $2`
	packedPersonal = `SELECT count(*),
		SUM(typeof(field) = 'text' AND typeof(salt) = 'blob' AND typeof(value) = 'text'),
		group_concat(seq || ' ' || octet_length(field) || ' ' || length(salt) || ' ' || octet_length(value)),
		group_concat(field, ''), group_concat(salt, ''), group_concat(value, '')
		FROM history_personal WHERE seq BETWEEN $1 AND $2`
)

// errIrregular means that a batch isn't what the store writes, so that it has to
// be looked at row by row.
var errIrregular = errors.New("irregular")

// evidence calls fn for the stored rows of a span, in order, and with nothing
// taken for granted: what has another form than what the store writes is
// tampered with.
func (s *Store) evidence(ctx context.Context, from, to int64, fn func(audit.Row) error) error {
	rows, err := s.packedRows(ctx, from, to)
	if err == nil {
		err = s.packedPersonal(ctx, from, rows)
	}
	if errors.Is(err, errIrregular) {
		return s.slowEvidence(ctx, from, to, fn)
	}
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) packedRows(ctx context.Context, from, to int64) ([]audit.Row, error) {
	var count int64
	var first, last, regular sql.NullInt64
	var lengths, bodies, prevs, hashes []byte
	if err := s.row(ctx, packedRows, from, to).Scan(&count, &first, &last, &regular, &lengths, &bodies, &prevs, &hashes); err != nil {
		return nil, err
	}
	if count != to-from+1 || first.Int64 != from || last.Int64 != to || regular.Int64 != count || int64(len(prevs)) != 32*count || int64(len(hashes)) != 32*count {
		return nil, errIrregular
	}
	rows := make([]audit.Row, count)
	text := string(lengths)
	for i := range rows {
		one, rest, _ := strings.Cut(text, ",")
		text = rest
		n, err := strconv.Atoi(one)
		if err != nil || n < 0 || n > len(bodies) {
			return nil, errIrregular
		}
		rows[i] = audit.Row{Seq: from + int64(i), Body: bodies[:n:n], Prev: audit.Hash(prevs[:32]), Hash: audit.Hash(hashes[:32])}
		bodies, prevs, hashes = bodies[n:], prevs[32:], hashes[32:]
	}
	if len(bodies) > 0 {
		return nil, errIrregular
	}
	return rows, nil
}

// packedPersonal adds their personal data to consecutive rows.
func (s *Store) packedPersonal(ctx context.Context, from int64, rows []audit.Row) error {
	var count int64
	var regular sql.NullInt64
	var index, fields, salts, values []byte
	if err := s.row(ctx, packedPersonal, from, from+int64(len(rows))-1).Scan(&count, &regular, &index, &fields, &salts, &values); err != nil {
		return err
	}
	if regular.Int64 != count {
		return errIrregular
	}
	all := make([]audit.Personal, count)
	text, begin := string(index), 0
	for i := range all {
		one, rest, _ := strings.Cut(text, ",")
		text = rest
		var n [4]int
		for j := range n {
			word, more, _ := strings.Cut(one, " ")
			var err error
			if n[j], err = strconv.Atoi(word); err != nil {
				return errIrregular
			}
			one = more
		}
		at := int64(n[0]) - from
		if at < 0 || at >= int64(len(rows)) || n[1] > len(fields) || n[2] > len(salts) || n[3] > len(values) {
			return errIrregular
		}
		all[i] = audit.Personal{Field: string(fields[:n[1]]), Salt: salts[:n[2]:n[2]], Value: string(values[:n[3]])}
		fields, salts, values = fields[n[1]:], salts[n[2]:], values[n[3]:]
		r := &rows[at]
		if r.Personal == nil {
			begin = i
		}
		r.Personal = all[begin : i+1 : i+1]
	}
	if len(fields)+len(salts)+len(values) > 0 {
		return errIrregular
	}
	return nil
}

// slowEvidence is evidence row by row.
func (s *Store) slowEvidence(ctx context.Context, from, to int64, fn func(audit.Row) error) error {
	var rows []audit.Row
	err := s.each(ctx, func(row scanner) error {
		var r audit.Row
		var seq, body, prev, hash any
		if err := row.Scan(&seq, &body, &prev, &hash); err != nil {
			return err
		}
		r.Seq, _ = seq.(int64) // 0 is never right
		r.Body, _ = body.([]byte)
		p, _ := prev.([]byte)
		h, _ := hash.([]byte)
		if r.Body == nil || len(p) != len(r.Prev) || len(h) != len(r.Hash) {
			r.Body, p, h = []byte("another form"), make([]byte, len(r.Prev)), make([]byte, len(r.Hash)) // never right
		}
		r.Prev, r.Hash = audit.Hash(p), audit.Hash(h)
		rows = append(rows, r)
		return nil
	}, "SELECT "+historyColumns+" FROM history WHERE seq BETWEEN $1 AND $2 ORDER BY seq", from, to)
	if err != nil {
		return err
	}
	personal, stray, err := s.slowPersonal(ctx, from, to, rows)
	if err != nil {
		return err
	}
	for _, r := range rows {
		r.Personal = personal[r.Seq]
		if err := fn(r); err != nil {
			return err
		}
	}
	if stray && int64(len(rows)) == to-from+1 {
		return fmt.Errorf("%w: there is personal data that belongs to no row", audit.ErrTampered)
	}
	return nil
}

func (s *Store) slowPersonal(ctx context.Context, from, to int64, rows []audit.Row) (map[int64][]audit.Personal, bool, error) {
	there := map[int64]bool{}
	for _, r := range rows {
		there[r.Seq] = true
	}
	out, stray := map[int64][]audit.Personal{}, false
	err := s.each(ctx, func(row scanner) error {
		var seq any
		var field, salt, value any
		if err := row.Scan(&seq, &field, &salt, &value); err != nil {
			return err
		}
		n, isNumber := seq.(int64)
		f, isText := field.(string)
		b, isBlob := salt.([]byte)
		v, isText2 := value.(string)
		if !isNumber || !there[n] {
			stray = true
			return nil
		}
		if !isText || !isBlob || !isText2 {
			f = "of another form" // which no body has a commitment for
		}
		out[n] = append(out[n], audit.Personal{Field: f, Salt: b, Value: v})
		return nil
	}, "SELECT seq, field, salt, value FROM history_personal WHERE seq BETWEEN $1 AND $2 ORDER BY seq, field", from, to)
	return out, stray, err
}
