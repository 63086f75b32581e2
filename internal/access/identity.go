package access

import "time"

// An Identity is who somebody is to a provider. Issuer and subject together tell
// one from another; the address is only what the provider says and proves nothing.
type Identity struct {
	Provider  string // id of the provider by which it last came
	Issuer    string
	Subject   string
	Email     string // as the provider has it, may be empty
	UserID    string
	CreatedAt time.Time
	LastUsed  time.Time // zero if never
}

// An Arrival is somebody whom a provider vouches for.
type Arrival struct {
	Identity
	Name     string
	Verified bool            // the address is theirs
	Strong   bool            // they gave a second factor there
	ProvedAt time.Time       // when they proved there who they are; zero if it doesn't say
	Groups   *ExternalGroups // nil if the provider isn't asked for groups

	Ticket      TokenHash // of the way there and back, which counts once
	TicketUntil time.Time // nobody can come back by it after
}

// ExternalGroups are the groups that somebody is in elsewhere, by ids of there.
type ExternalGroups struct {
	IDs     []string
	Trouble string // why none could be read; then they are in none
}

// OIDCSource is the source of memberships that a provider tells of.
func OIDCSource(provider string) string { return "oidc:" + provider }

// OIDCMethod is how somebody signs in through a provider.
func OIDCMethod(provider string) string { return "oidc:" + provider }
