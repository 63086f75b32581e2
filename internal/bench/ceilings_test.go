package main

import (
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"gatehouse/web/templates"
)

// The ceiling must do the same work: its rows are those of the real page.
func TestFixedRowsAreTheRealOnes(t *testing.T) {
	_, v := fixedView()
	var plain, real strings.Builder
	if err := fixedRows(v.Rows).Render(t.Context(), &plain); err != nil {
		t.Fatal(err)
	}
	if err := templates.ConfigRows(v.Rows, true).Render(t.Context(), &real); err != nil {
		t.Fatal(err)
	}
	parsed := func(rows string) string {
		doc, err := goquery.NewDocumentFromReader(strings.NewReader("<table><tbody>" + rows + "</table>"))
		if err != nil {
			t.Fatal(err)
		}
		html, err := doc.Find("tbody").Html()
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("> ", ">", ` data-tone=""`, "").Replace(html)
	}
	if a, b := parsed(plain.String()), parsed(real.String()); a != b {
		t.Errorf("the rows differ:\n%s\n%s", a[:1500], b[:1500])
	}
}
