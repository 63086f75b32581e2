package change

import (
	"context"
	"time"

	"gatehouse/internal/mirror"
)

// countTime is how long counting connections may take.
const countTime = 4 * time.Second

// CountImpact counts the connections that a change of auth configs touches, as a
// record of what was known; where Composio can't be asked, and of several configs,
// the mirror's number stands.
func (s *Service) CountImpact(ctx context.Context, project string, all ...mirror.AuthConfig) map[string]Impact {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	out := map[string]Impact{}
	for _, a := range all {
		out[a.ID] = Impact{Counted: true, Connections: a.Connections}
		if len(all) > 1 {
			continue
		}
		if counts, err := s.mirror.Connections(ctx, project, a.ID); err == nil {
			out[a.ID] = Impact{Counted: true, Connections: counts.Total, ByStatus: counts.ByStatus}
		}
	}
	return out
}
