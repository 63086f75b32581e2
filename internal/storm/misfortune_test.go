package storm

import (
	"errors"
	"math/rand/v2"
	"os/exec"
	"syscall"
	"time"
)

// A misfortune befalls the program while people work. After it the program is up
// again, or soon will be.
type misfortune struct {
	name   string
	strike func(*victim, *rand.Rand)
}

// misfortunes are drawn from; kills are the likeliest.
var misfortunes = []misfortune{
	{"killed", killed}, {"killed", killed}, {"killed", killed}, {"paused", paused}, {"stopped", stopped}, {"joined", joined},
	{"killed while paused", func(v *victim, _ *rand.Rand) {
		v.signal(syscall.SIGSTOP)
		v.kill()
		v.start("")
	}},
}

func killed(v *victim, _ *rand.Rand) {
	v.kill()
	v.start("")
}

// paused stops all of the program for up to twice the grace time: its answers come
// late, and what it believed to be now is past.
func paused(v *victim, r *rand.Rand) {
	v.signal(syscall.SIGSTOP)
	timer := time.NewTimer(time.Duration(r.Int64N(int64(2 * grace))))
	<-timer.C
	v.signal(syscall.SIGCONT)
}

// stopped asks the program to end, which it has to do well.
func stopped(v *victim, _ *rand.Rand) {
	v.signal(syscall.SIGTERM)
	if !v.died() {
		v.t.Fatalf("the program doesn't stop: %s", v.dump())
	}
	if !v.cmd.ProcessState.Success() {
		v.t.Errorf("asked to stop, the program ended with %s: %s", v.cmd.ProcessState, v.log())
	}
	v.start("")
}

// joined starts a second program on the same data, which is turned away.
func joined(v *victim, _ *rand.Rand) {
	cmd := exec.CommandContext(v.t.Context(), binary, "serve", "--addr", "127.0.0.1:0")
	cmd.Env = v.env
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != 4 {
		v.t.Errorf("a second program on the same data: %v, %s", err, out)
	}
}

func (v *victim) signal(s syscall.Signal) {
	v.t.Helper()
	must(v.t, v.cmd.Process.Signal(s))
}
