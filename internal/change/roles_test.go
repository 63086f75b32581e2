package change_test

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/store"
)

// setRoles gives somebody other roles at once, as an applied request would.
func setRoles(ctx context.Context, st *store.Store, id string, roles ...access.Role) error {
	_, err := st.UpdateAccount(ctx, id, func(a *access.Account) ([]audit.Event, error) {
		a.Grants = access.Unscoped(roles...)
		return []audit.Event{{Actor: audit.System(), Action: "user.roles_set", Object: audit.Object{Kind: "user", ID: a.ID, Name: a.Name}}}, nil
	}, nil)
	return err
}
