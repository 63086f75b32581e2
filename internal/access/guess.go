package access

import (
	"time"

	"gatehouse/internal/problem"
)

const (
	freeGuesses = 5                // failures before an account makes people wait
	maxGuesses  = 100              // failures after which only a reset link helps
	firstDelay  = 2 * time.Second  // doubles with each further failure
	longestWait = 15 * time.Minute // between two guesses at one account
	addressMax  = 50               // failures from one address …
	addressSpan = 10 * time.Minute // … within this time
)

// A Guess counts failed sign-ins of one account or one address. It is counted
// before the passphrase is looked at, so that parallel guesses don't slip by.
type Guess struct {
	Failures int
	Last     time.Time
}

// takeAccount counts a guess at an account, or says how long to wait.
func (g *Guess) takeAccount(now time.Time) error {
	if g.Failures >= maxGuesses {
		return problem.New(problem.TooMany, "This account is locked after too many failed sign-ins. Ask an admin for a reset link.")
	}
	if g.Failures >= freeGuesses {
		wait := min(firstDelay<<min(g.Failures-freeGuesses, 20), longestWait)
		if err := waitUntil(g.Last.Add(wait), now); err != nil {
			return err
		}
	}
	g.Failures++
	g.Last = now
	return nil
}

// takeAddress counts a guess from an address, or says how long to wait.
func (g *Guess) takeAddress(now time.Time) error {
	if now.Sub(g.Last) >= addressSpan {
		g.Failures = 0
	}
	if g.Failures >= addressMax {
		return waitUntil(g.Last.Add(addressSpan), now)
	}
	g.Failures++
	g.Last = now
	return nil
}

// giveBack takes a guess back that was right.
func (g *Guess) giveBack() { g.Failures = max(0, g.Failures-1) }

func waitUntil(until, now time.Time) error {
	if d := until.Sub(now); d > 0 {
		p := problem.New(problem.TooMany, "Too many failed sign-ins. Wait a little, then try again.")
		p.RetryAfter = d
		return p
	}
	return nil
}
