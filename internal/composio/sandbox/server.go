// Package sandbox imitates the Composio v3 HTTP API in memory: auth configs,
// toolkits, tools and connections of two projects, with the oddities that bite
// clients on demand and a journal of everything that was done to it.
//
// It follows the published description and what was observed of the live API.
// Where both are silent, comments say EMU: the behaviour is our choice, and a
// client may not rely on it.
package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Options say what to imitate. The zero value is a small lifelike server that
// forgets everything.
type Options struct {
	Seed      uint64           // ids and data depend on it and on Configs alone
	Configs   int              // auth configs in each project; 0 is a small lifelike set
	StateFile string           // keeps the state across restarts; it wins over Seed and Configs
	Quirks    []string         // see Quirks
	Now       func() time.Time // nil is the clock
	Latency   time.Duration    // before each answer of the API
}

// A Server is the imitation: mount it as the handler of a server. Besides the
// API it serves /_sandbox/ to clients on the same machine.
type Server struct {
	options Options
	quirks  quirks
	catalog *catalog
	closed  chan struct{}

	mu       sync.Mutex // guards what follows, and the order of changes
	busy     sync.WaitGroup
	over     bool
	seed     uint64
	minted   uint64
	requests uint64
	projects map[string]*project
	journal  journal
	faults   []*armed
	meter    meter
	file     stateFile
}

// New makes a server with the state of the state file, or a new one.
func New(o Options) (*Server, error) {
	q, err := parseQuirks(o.Quirks)
	if err != nil {
		return nil, err
	}
	if o.Configs < 0 {
		return nil, fmt.Errorf("%d auth configs can't be made", o.Configs)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := newCatalog()
	if err != nil {
		return nil, err
	}
	s := &Server{
		options: o, quirks: q, catalog: c, seed: o.Seed,
		closed: make(chan struct{}), projects: newProjects(), file: stateFile{path: o.StateFile},
	}
	if err := s.checkWithdrawn(); err != nil {
		return nil, err
	}
	if q.unknownScheme {
		if err := c.addUnknownScheme(); err != nil {
			return nil, err
		}
	}
	if q.hostileStrings {
		c.poison()
	}
	if err := s.fill(); err != nil {
		return nil, err
	}
	return s, nil
}

// fill loads the state or makes one, and saves it.
func (s *Server) fill() error {
	all, changes, found, err := s.file.load()
	if err != nil {
		return err
	}
	if found {
		err = s.restore(all, changes)
	} else {
		err = s.populate()
	}
	if err != nil {
		return err
	}
	return s.file.fold(s.snapshot())
}

// snapshot is what the state file holds.
func (s *Server) snapshot() saved {
	return saved{
		Seed: s.seed, Minted: s.minted, Projects: s.state().Projects,
		Mutations: s.journal.mutations, Incidents: s.journal.incidents,
	}
}

func (s *Server) restore(all saved, changes []savedChange) error {
	s.seed, s.minted = all.Seed, all.Minted
	s.journal.mutations, s.journal.incidents = all.Mutations, all.Incidents
	for slug, state := range all.Projects {
		p := s.projects[slug]
		if p == nil {
			return fmt.Errorf("the state file has a project %q, which the sandbox has not", slug)
		}
		p.fill(state)
	}
	for _, c := range changes {
		p := s.projects[c.Project]
		if p == nil {
			return fmt.Errorf("the state log has a project %q, which the sandbox has not", c.Project)
		}
		p.put(c.Configs, c.Connections)
		s.minted = c.Minted
		s.journal.incidents = append(s.journal.incidents, c.Incidents...)
		if c.Mutation != nil {
			s.journal.mutations = append(s.journal.mutations, *c.Mutation)
		}
	}
	return nil
}

// fill takes in objects that are ordered the newest first.
func (p *project) fill(state ProjectState) {
	for i := len(state.AuthConfigs) - 1; i >= 0; i-- {
		p.configs.put(state.AuthConfigs[i])
	}
	for i := len(state.Connections) - 1; i >= 0; i-- {
		p.put(nil, state.Connections[i:i+1])
	}
}

// Close ends requests that are kept waiting, refuses new ones, and folds the log
// of the state file. Closing twice does nothing more.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return nil
	}
	s.over = true
	close(s.closed)
	s.mu.Unlock()

	s.busy.Wait()

	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.file.fold(s.snapshot()), s.file.close())
}

// clock is the time as the API knows it: UTC, in milliseconds.
func (s *Server) clock() time.Time {
	return s.options.Now().UTC().Truncate(time.Millisecond)
}

// enter counts a request in, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.busy.Add(1)
	return true
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "the sandbox is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.busy.Done()
	if control := s.control(r); control != nil {
		control(w, r)
		return
	}
	q := s.receive(w, r)
	s.mu.Lock()
	t := s.strike(q)
	s.mu.Unlock()
	if s.before(w, r, q, t) {
		return
	}
	q.lag = t.lag
	s.after(w, r, q, t, s.answer(q))
}
