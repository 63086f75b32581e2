package store

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

// slowSteps is a plan that gets slower as history grows, or that sorts what it reads.
var slowSteps = regexp.MustCompile(`SCAN (config_step|s|history|drift)\b|TEMP B-TREE`)

// Earlier states are found by looking into indexes, however long history is.
func TestGateStepPlans(t *testing.T) {
	s := openGate(t)
	event := audit.Event{Action: "auth_config.changed_outside", Actor: audit.Actor{Kind: audit.ActorOutside}, Project: "prj_1", Object: audit.Object{Kind: "auth_config", ID: "ac_1"}}
	if err := s.FailSignIn(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	reads := []func() error{
		func() error { _, err := s.ConfigsAt(ctx, "prj_1", 1); return err },
		func() error { _, err := s.ConfigAt(ctx, "prj_1", "ac_1", 1); return err },
		func() error { _, err := s.LastStepAt(ctx, "prj_1", time.Now()); return err },
		func() error { _, _, err := s.FirstRead(ctx, "prj_1"); return err },
		func() error { _, _, err := s.CountConfigSteps(ctx, "prj_1", "ac_1", math.MaxInt64); return err },
		func() error { _, err := s.ConfigStep(ctx, "prj_1", "ac_1", 1); return err },
		func() error { _, err := s.Drifts(ctx, "prj_1"); return err },
	}
	for _, read := range reads {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	checked := 0
	s.readStmts.Range(func(query, _ any) bool {
		text := query.(string)
		if !strings.Contains(text, "config_step") && !strings.Contains(text, "drift") {
			return true
		}
		checked++
		for _, step := range planOf(t, s.reads, rebind(text), make([]any, highest(text))...) {
			if found := slowSteps.FindString(step); found != "" {
				t.Errorf("%s: %s", text, step)
			}
		}
		return true
	})
	if checked < 8 {
		t.Errorf("only %d statements were looked at", checked)
	}
}

// highest is the highest parameter of a statement.
func highest(query string) int {
	n := 0
	for i := 1; strings.Contains(query, "$"+string(rune('0'+i))); i++ {
		n = i
	}
	return n
}
