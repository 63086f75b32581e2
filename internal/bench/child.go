package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// A child is a server that is measured.
type child struct {
	url string
	cmd *exec.Cmd
	out bytes.Buffer
}

// pinned returns a command that runs on one processor, where there are several:
// servers on the first, the loader on the second.
func pinned(cpu int, name string, args ...string) *exec.Cmd {
	if tool, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		return exec.Command(tool, append([]string{"-c", strconv.Itoa(cpu), name}, args...)...)
	}
	return exec.Command(name, args...)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// launch starts a server and returns how long it took until it answered.
func (b *bench) launch(ctx context.Context, env []string, name string, args func(addr string) []string) (*child, time.Duration, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, 0, err
	}
	c := &child{url: "http://" + addr, cmd: pinned(0, name, args(addr)...)}
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GOMAXPROCS=1", "CONSOLE_ADDR=" + addr}, env...)
	return b.start(ctx, c, addr)
}

// launchFree starts a server that may use all processors, as people have it.
func (b *bench) launchFree(ctx context.Context, env []string, name string, args ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c := &child{url: "http://" + addr, cmd: exec.Command(name, args...)}
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CONSOLE_ADDR=" + addr}, env...)
	_, _, err = b.start(ctx, c, addr)
	return c, err
}

func (b *bench) start(ctx context.Context, c *child, addr string) (*child, time.Duration, error) {
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.out
	begun := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, 0, err
	}
	b.children = append(b.children, c)
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close() // the question below has its own
			break
		}
		if time.Since(begun) > 30*time.Second || ctx.Err() != nil {
			return nil, 0, fmt.Errorf("%s doesn't answer: %s", c.cmd.Path, &c.out)
		}
		time.Sleep(500 * time.Microsecond)
	}
	resp, err := http.Get(c.url + "/healthz")
	if err != nil {
		return nil, 0, err
	}
	return c, time.Since(begun), resp.Body.Close()
}

func (c *child) stop() error {
	if c.cmd.ProcessState != nil {
		return nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // children of our own just end
	}
	return err
}

func (b *bench) stopChildren() {
	for _, c := range b.children {
		_ = c.stop() // the run is over
	}
}

// cpu is the processor time that a child has used, over all of its threads.
func (c *child) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}

// rss is the child's resident memory in bytes.
func (c *child) rss() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// A job is what the loader sends.
type job struct {
	URLs    []string // asked for in turn
	Header  http.Header
	N       int
	Workers int
	Revisit bool // send the ETag of the answer before
	Status  int  // that every answer must have
}

// An outcome is what the loader saw.
type outcome struct {
	Seconds  float64
	P50, P99 float64 // milliseconds
	Bytes    int     // of one body
	Wrong    int     // answers with another status
}

// ask has the loader send requests, and returns what they cost the server.
func (c *child) ask(ctx context.Context, j job) (figure, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return figure{}, err
	}
	cmd := pinned(1, os.Args[0], roleLoad)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), os.Stderr
	before, err := c.cpu()
	if err != nil {
		return figure{}, err
	}
	out, err := cmd.Output()
	if err != nil {
		return figure{}, fmt.Errorf("loader: %w", err)
	}
	after, err := c.cpu()
	if err != nil {
		return figure{}, err
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		return figure{}, err
	}
	if o.Wrong > j.N/100 {
		return figure{}, fmt.Errorf("%s: %d of %d answers didn't have status %d", j.URLs[0], o.Wrong, j.N, j.Status)
	}
	return figure{
		CPU: float64((after - before).Nanoseconds()) / 1e3 / float64(j.N), Rate: float64(j.N) / o.Seconds,
		P50: o.P50, P99: o.P99, Bytes: o.Bytes,
	}, ctx.Err()
}
