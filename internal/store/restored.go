package store

import "context"

// Revived is what came back to life with a restored database.
type Revived struct {
	Sessions, Links int64 // that were ended
	Tokens, Clients int64 // API tokens and clients of directories that are good, perhaps again
}

// EndRestored ends sessions and one-time links, which may have been ended since the
// copy was made. It leaves no entry: history has to be compared with what was signed
// before anything is added to it.
func (s *Store) EndRestored(ctx context.Context) (r Revived, err error) {
	err = s.quiet(ctx, restored, func(t *tx) error {
		if err := t.exec("DELETE FROM pending_sign_in"); err != nil {
			return err
		}
		if r.Sessions, err = t.affected("DELETE FROM session"); err != nil {
			return err
		}
		if r.Links, err = t.affected("DELETE FROM one_time_link"); err != nil {
			return err
		}
		now := micros(t.now)
		if err := t.row("SELECT count(*) FROM api_token WHERE revoked_at = 0 AND expires_at > $1", now).Scan(&r.Tokens); err != nil {
			return err
		}
		return t.row("SELECT count(*) FROM scim_client WHERE revoked_at = 0 AND expires_at > $1", now).Scan(&r.Clients)
	})
	return r, err
}
