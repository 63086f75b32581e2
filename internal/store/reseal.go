package store

import (
	"context"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/secret"
)

// A sealedColumn is where sealed records lie: in which column, which record that
// is, and by which names it was sealed.
type sealedColumn struct {
	table, column string
	key           string // an expression: what it was sealed as, beside table and field
	sealedAs      string // table
	field         string // an expression too
}

// sealedColumns are all there are.
var sealedColumns = []sealedColumn{
	{keyTable, keyField, "CAST(id AS TEXT)", keyTable, "'sealed'"},
	{"project", "key_sealed", "id", "project", "'api_key'"},
	{"channel", "url_sealed", "id", "channel", "'url'"},
	{"channel", "secret_sealed", "id", "channel", "'secret'"},
	{"sink", "address_sealed", "id", "sink", "'address'"},
	{"sink", "key_sealed", "id", "sink", "'key'"},
	{"totp", "sealed", "user_id", "totp", "'sealed'"},
	{"sealed_credential", "sealed", "request_id || '/' || item", "sealed_credential", "field"},
}

// Reseal seals every record anew, with the key that the keyring seals with, and
// records that, in one transaction. It returns how many there were. One that can't
// be opened ends it, and nothing is changed.
func (s *Store) Reseal(ctx context.Context, keys *secret.Keyring, e func(n int) audit.Event) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		n = 0
		for _, c := range sealedColumns {
			resealed, err := t.reseal(keys, c)
			if err != nil {
				return fmt.Errorf("seal %s of %s anew: %w", c.column, c.table, err)
			}
			n += resealed
		}
		return t.record(e(n))
	})
	return n, err
}

// CheckSealed fails unless every record can be opened.
func (s *Store) CheckSealed(ctx context.Context, keys *secret.Keyring) error {
	for _, c := range sealedColumns {
		all, err := sealedRecords(func(scan func(scanner) error, query string) error { return s.each(ctx, scan, query) }, c)
		if err != nil {
			return err
		}
		for _, r := range all {
			if _, err := keys.Open(r.sealed, c.sealedAs, r.row, r.field); err != nil {
				return fmt.Errorf("open %s of %s: %w", c.column, c.table, err)
			}
		}
	}
	return nil
}

// A sealedRecord is one, and the names by which it was sealed.
type sealedRecord struct {
	row, field string
	sealed     []byte
}

func sealedRecords(each func(scan func(scanner) error, query string) error, c sealedColumn) (all []sealedRecord, err error) {
	err = each(func(row scanner) error {
		var r sealedRecord
		err := row.Scan(&r.row, &r.field, &r.sealed)
		all = append(all, r)
		return err
	}, "SELECT "+c.key+", "+c.field+", "+c.column+" FROM "+c.table+" WHERE length("+c.column+") > 0")
	return all, err
}

func (t *tx) reseal(keys *secret.Keyring, c sealedColumn) (int, error) {
	all, err := sealedRecords(func(scan func(scanner) error, query string) error { return t.each(scan, query) }, c)
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		plain, err := keys.Open(r.sealed, c.sealedAs, r.row, r.field)
		if err != nil {
			return 0, err
		}
		if err := t.exec("UPDATE "+c.table+" SET "+c.column+" = $3 WHERE "+c.key+" = $1 AND "+c.field+" = $2", r.row, r.field, keys.Seal(plain, c.sealedAs, r.row, r.field)); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}
