//go:build failpoint

// Package failpoint names the places where a test build can be made to die or
// to fail. In every other build it does nothing.
package failpoint

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

var (
	mu    sync.Mutex
	armed = map[string]point{}
)

type point struct {
	action string
	skip   int // how many hits pass first
}

// ErrHit is what an armed point with the action "error" returns.
var ErrHit = errors.New("failpoint")

// Arm sets points from a list such as "apply.claimed=kill,store.commit=error@2":
// the action is kill or error, @N lets N hits pass first. A point acts once.
func Arm(spec string) error {
	mu.Lock()
	defer mu.Unlock()
	for one := range strings.SplitSeq(spec, ",") {
		name, action, ok := strings.Cut(one, "=")
		if !ok {
			return fmt.Errorf("failpoint %q must be NAME=ACTION", one)
		}
		p := point{}
		p.action, _, _ = strings.Cut(action, "@")
		if _, n, ok := strings.Cut(action, "@"); ok {
			if _, err := fmt.Sscan(n, &p.skip); err != nil {
				return err
			}
		}
		armed[name] = p
	}
	return nil
}

// Hit passes a point: it returns nil, returns an error, or ends the process as
// kill -9 would.
func Hit(name string) error {
	mu.Lock()
	defer mu.Unlock()
	p, ok := armed[name]
	if !ok {
		return nil
	}
	if p.skip > 0 {
		p.skip--
		armed[name] = p
		return nil
	}
	delete(armed, name)
	if p.action == "kill" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // never returns
		select {}
	}
	return fmt.Errorf("%w %s", ErrHit, name)
}
