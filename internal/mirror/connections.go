package mirror

import (
	"context"
	"time"

	"gatehouse/internal/composio"
)

// Connections are the connections of an auth config at the time of asking,
// private and shared.
type Connections struct {
	Total    int
	ByStatus map[string]int // an open set of statuses; "other" holds what has none of the known ones
	Newest   []Connection   // at most newestConnections
}

// A Connection is one user's connection.
type Connection struct {
	ID           string
	UserID       string
	Status       string
	StatusReason string
	UpdatedAt    time.Time
}

const newestConnections = 50

// Connections asks Composio for the connections of a config: the newest ones,
// and how many there are of each status, in as many calls as there are statuses.
func (s *Service) Connections(ctx context.Context, projectID, id string) (Connections, error) {
	out := Connections{ByStatus: map[string]int{}}
	c, err := s.Client(ctx, projectID)
	if err != nil {
		return out, err
	}
	for a, err := range c.ConnectedAccounts.List(ctx, id) {
		if err != nil {
			return out, Refusal(err)
		}
		out.Newest = append(out.Newest, Connection{ID: a.ID, UserID: a.UserID, Status: a.Status, StatusReason: a.StatusReason, UpdatedAt: a.UpdatedAt.Time})
		if len(out.Newest) == newestConnections {
			break
		}
	}
	if len(out.Newest) < newestConnections {
		for _, one := range out.Newest {
			out.ByStatus[one.Status]++
		}
		out.Total = len(out.Newest)
		return out, nil
	}
	return s.countConnections(ctx, c, id, out)
}

func (s *Service) countConnections(ctx context.Context, c *composio.Client, id string, out Connections) (Connections, error) {
	var err error
	if out.Total, err = c.ConnectedAccounts.Count(ctx, id); err != nil {
		return out, Refusal(err)
	}
	other := out.Total
	for _, status := range composio.ConnectionStatuses() {
		n, err := c.ConnectedAccounts.Count(ctx, id, status)
		if err != nil {
			return out, Refusal(err)
		}
		if n > 0 {
			out.ByStatus[status] = n
		}
		other -= n
	}
	if other > 0 {
		out.ByStatus["other"] = other
	}
	return out, nil
}
