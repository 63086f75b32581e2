package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every column that holds sealed records is sealed anew when the key changes.
func TestEverySealedColumn(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var there, known []string
	err = s.each(t.Context(), func(row scanner) error {
		var table, column string
		err := row.Scan(&table, &column)
		there = append(there, table+"."+column)
		return err
	}, "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.name LIKE '%sealed' ORDER BY 1, 2")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sealedColumns {
		known = append(known, c.table+"."+c.column)
	}
	slices.Sort(known)
	if !slices.Equal(there, known) {
		t.Errorf("there are\n%s\nand known are\n%s", strings.Join(there, " "), strings.Join(known, " "))
	}
}
