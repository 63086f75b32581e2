package access

import (
	"time"

	"gatehouse/internal/problem"
)

const (
	freeGuesses = 5                // failures before an account makes people wait
	maxGuesses  = 100              // failures after which only a reset link helps
	maxProofs   = 10               // failures in one session, after which it proves nothing any more
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
	return g.take(now, maxGuesses, "This account is locked after too many failed sign-ins. Ask an admin for a reset link.")
}

// takeProof counts a guess of who has a session, or says how long to wait. It is
// counted by session, so that whoever has a stolen one can't lock its owner out, and
// nobody at the sign-in page can keep the owner from a proof. Few of them count: they
// come on top of those at the sign-in.
func (g *Guess) takeProof(now time.Time) error {
	return g.take(now, maxProofs, "There were too many wrong proofs in this session. Nothing was changed. Sign out, sign in again, and go on from there.")
}

func (g *Guess) take(now time.Time, most int, locked string) error {
	if g.Failures >= most {
		return problem.New(problem.TooMany, "%s", locked)
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

// proofKey names the counter of wrong proofs in a session.
func proofKey(session string) string { return "proof:" + session }

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
