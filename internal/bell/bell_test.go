package bell

import "testing"

func rung(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestBell(t *testing.T) {
	var b Bell
	b.Ring() // nobody listens
	one, two := b.Next(), b.Next()
	if rung(one) || rung(two) {
		t.Fatal("a ring from before is heard")
	}
	b.Ring()
	if !rung(one) || !rung(two) {
		t.Error("a ring isn't heard by all")
	}
	if rung(b.Next()) {
		t.Error("a ring is heard twice")
	}
}
