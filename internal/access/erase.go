package access

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
)

// erasedDomain ends the addresses of those who were erased. Nobody has it
// (RFC 2606).
const erasedDomain = "@erased.invalid"

// Erased reports whether the person's data was erased.
func (u User) Erased() bool { return strings.HasSuffix(u.Email, erasedDomain) }

// Erase takes away what tells who somebody was: name and address, and the same
// in history, with IP addresses and browsers. What they did stays, under a number.
func (s *Service) Erase(ctx context.Context, by Reader, id string) error {
	if err := by.Check(ManagePeople); err != nil {
		return err
	}
	return s.store.EraseAccount(ctx, id, func(a *Account, number int) ([]audit.Event, error) {
		switch {
		case a.Erased():
			return nil, problem.New(problem.Conflict, "This person was erased already.")
		case a.State != Disabled:
			return nil, problem.New(problem.Conflict, "Disable %s first. Nothing was erased.", a.Name)
		}
		a.Name, a.Email, a.Passphrase = fmt.Sprintf("Erased person %d", number), fmt.Sprintf("erased-%d%s", number, erasedDomain), ""
		return []audit.Event{{Actor: by.Actor(), Action: audit.ErasedAction, Object: audit.Object{Kind: "user", ID: a.ID}}}, nil
	})
}
