package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quirks are the lasting oddities of one server.
type quirks struct {
	lyingPagination    bool
	strictMask         bool
	scopedKey          bool
	legacyEnvelope     bool
	timeoutAfterCommit bool
	emptyResponses     bool
	unknownScheme      bool
	duplicates         bool
	nonJSON            bool
	hostileStrings     bool
	maxLimit           int // 0: the limit of each list
	rateLimit          int // -1: none
	withdrawn          []string
	stale              lag
	latency            time.Duration
}

// A quirk is one switch; a value follows its name after an equals sign, and has
// a default.
type quirk struct {
	name, value string
	set         func(q *quirks, value string) error
}

func toggle(name string, field func(*quirks) *bool) quirk {
	return quirk{name: name, set: func(q *quirks, value string) error {
		if value != "" {
			return fmt.Errorf("takes no value")
		}
		*field(q) = true
		return nil
	}}
}

// knownQuirks is what exists, by name.
var knownQuirks = []quirk{
	toggle("duplicates", func(q *quirks) *bool { return &q.duplicates }),
	toggle("hostile-strings", func(q *quirks) *bool { return &q.hostileStrings }),
	{"latency", "100ms", func(q *quirks, v string) (err error) {
		q.latency, err = positiveDuration(v)
		return err
	}},
	toggle("legacy-envelope", func(q *quirks) *bool { return &q.legacyEnvelope }),
	toggle("lying-pagination", func(q *quirks) *bool { return &q.lyingPagination }),
	{"managed-app-withdrawn", "clockify", func(q *quirks, v string) error {
		q.withdrawn = append(q.withdrawn, strings.ToLower(v))
		return nil
	}},
	{"max-limit", "50", func(q *quirks, v string) (err error) {
		q.maxLimit, err = count(v, 1)
		return err
	}},
	toggle("non-json", func(q *quirks) *bool { return &q.nonJSON }),
	toggle("old-empty-responses", func(q *quirks) *bool { return &q.emptyResponses }),
	{"rate-limit", "10", func(q *quirks, v string) (err error) {
		q.rateLimit, err = count(v, 0)
		return err
	}},
	toggle("scoped-key", func(q *quirks) *bool { return &q.scopedKey }),
	{"stale-lists", "1", func(q *quirks, v string) (err error) {
		q.stale, err = parseLag(v)
		return err
	}},
	toggle("strict-mask", func(q *quirks) *bool { return &q.strictMask }),
	toggle("timeout-after-commit", func(q *quirks) *bool { return &q.timeoutAfterCommit }),
	toggle("unknown-scheme", func(q *quirks) *bool { return &q.unknownScheme }),
}

// Quirks lists the names [Options.Quirks] may hold. Those that take a value
// (latency=100ms, managed-app-withdrawn=clockify, max-limit=50, rate-limit=10,
// stale-lists=1 or stale-lists=500ms) may stand alone: they are then set to the
// value shown here.
func Quirks() []string {
	out := make([]string, len(knownQuirks))
	for i, k := range knownQuirks {
		out[i] = k.name
	}
	return out
}

func parseQuirks(names []string) (quirks, error) {
	q := quirks{rateLimit: -1}
	for _, given := range names {
		name, value, valued := strings.Cut(given, "=")
		at := slices.IndexFunc(knownQuirks, func(k quirk) bool { return k.name == name })
		if at < 0 {
			return q, fmt.Errorf("unknown quirk %q; known are %s", given, strings.Join(Quirks(), ", "))
		}
		k := knownQuirks[at]
		if !valued {
			value = k.value
		}
		if err := k.set(&q, value); err != nil {
			return q, fmt.Errorf("quirk %s: %w", given, err)
		}
	}
	return q, nil
}

func count(s string, least int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least {
		return 0, fmt.Errorf("want a whole number from %d", least)
	}
	return n, nil
}

func positiveDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 250ms")
	}
	return d, nil
}

// parseLag reads a number of changes or a duration.
func parseLag(s string) (lag, error) {
	if n, err := count(s, 1); err == nil {
		return lag{changes: min(n, keptMoments)}, nil
	}
	d, err := positiveDuration(s)
	if err != nil || d == 0 {
		return lag{}, fmt.Errorf("want a number of changes or a duration such as 500ms")
	}
	return lag{while: d}, nil
}

// checkWithdrawn makes sure that the toolkits of managed-app-withdrawn exist and
// claim to have a managed app, as the real ones go on doing.
func (s *Server) checkWithdrawn() error {
	for _, slug := range s.quirks.withdrawn {
		t := s.catalog.toolkit(slug)
		if t == nil {
			return fmt.Errorf("quirk managed-app-withdrawn: unknown toolkit %q", slug)
		}
		if t.managed() != nil {
			continue
		}
		m := t.scheme("OAUTH2")
		if m == nil {
			return fmt.Errorf("quirk managed-app-withdrawn: toolkit %q has no OAUTH2", slug)
		}
		m.Managed = true
		t.widen()
	}
	return nil
}
