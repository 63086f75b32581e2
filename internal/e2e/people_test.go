package e2e

import (
	"testing"

	"gatehouse/internal/composio/sandbox"
)

// Deciding about one person of an access review keeps what was typed about others,
// and leads back to the row.
func TestAccessReviewKeepsWhatWasTyped(t *testing.T) {
	c := serve(t, sandbox.Options{Configs: 5})
	p := c.open(tabOptions{width: 390})
	p.signIn("Ada")
	p.to("/people/reviews")
	p.fill("Name", "Spring")
	p.click(p.button("Open review"))
	p.sees("Decide about each person")
	rows := p.Locator("form.verdict")
	first, second := rows.Nth(0).Locator("input[name=comment]"), rows.Nth(1).Locator("input[name=comment]")
	id, err := second.GetAttribute("id")
	must(t, err)
	must(t, first.Fill("Still on the team"))
	must(t, second.Fill("Ask her first"))
	p.click(rows.Nth(0).GetByText("Confirm"))
	p.sees("Confirmed.", "1 of", "Still on the team")
	must(t, expect.Locator(p.Locator("#"+id)).ToHaveValue("Ask her first"))
	must(t, expect.Locator(p.Locator("li:has(form.verdict)").First()).ToBeInViewport())
}
