package change

import (
	"encoding/json"

	"gatehouse/internal/audit"
	"gatehouse/internal/mirror"
)

// A verdict is what became of one attempt, as far as can be told.
type verdict int

const (
	verdictUnknown    verdict = iota // it may or may not have happened
	verdictApplied                   // it happened, and a look at the remote agrees
	verdictRefused                   // Composio said no: it did not happen, and won't
	verdictNotSent                   // it did not happen, but may be tried again
	verdictStale                     // the config is not what was approved; nothing was sent
	verdictSuperseded                // the config was as wanted already; nothing was sent
	verdictDecide                    // only a person can say
)

// maxAttempts is how often one step is tried before a person decides.
const maxAttempts = 3

// A sighting is what a look at the remote shows after an attempt whose outcome
// is unknown.
type sighting struct {
	gone     bool              // 404
	live     mirror.AuthConfig // unless gone
	answered bool              // the write was answered with 2xx
}

// resolve decides about an attempt of anything but a create. Before the grace
// time is over the write may still be on its way, so that what wasn't done yet
// decides nothing.
func resolve(it Item, step Step, saw sighting, graceOver bool) verdict {
	if it.Operation == Delete {
		switch {
		case saw.gone:
			return verdictApplied
		case graceOver:
			return verdictNotSent
		}
		return verdictUnknown
	}
	if saw.gone {
		return verdictRefused // nothing left to change
	}
	if step == StepRename {
		return resolveRename(it, saw, graceOver)
	}
	achieved, untouched := it.achieved(saw.live), it.unchanged(saw.live)
	switch {
	case achieved && (it.provable(saw.live) || saw.answered):
		return verdictApplied
	case !achieved && !untouched:
		return verdictDecide // a third value
	case graceOver:
		return verdictNotSent // the values are absolute: sending again does no harm
	}
	return verdictUnknown
}

func resolveRename(it Item, saw sighting, graceOver bool) verdict {
	switch {
	case saw.live.Name == it.Set[mirror.FieldName][0]:
		return verdictApplied
	case saw.live.Name != it.sentName():
		return verdictDecide
	case graceOver:
		return verdictNotSent
	}
	return verdictUnknown
}

// resolveCreate decides about an attempt of a create by the configs whose name
// ends in its marker, the oldest first. Only two full listings without one, the
// second after the grace time, show that it didn't happen.
func resolveCreate(it Item, found []mirror.AuthConfig, graceOver bool) verdict {
	switch {
	case len(found) > 0:
		return verdictApplied
	case it.Marker == "" && graceOver:
		return verdictDecide
	case graceOver:
		return verdictNotSent
	}
	return verdictUnknown
}

// digestBody names a request body: SHA-256 over its canonical JSON.
func digestBody(body []byte) (string, error) {
	if len(body) == 0 {
		return audit.Digest("")
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return "", err
	}
	return audit.Digest(v)
}
