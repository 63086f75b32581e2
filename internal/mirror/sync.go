package mirror

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/composio"
	"gatehouse/internal/problem"
)

// confirmAtMost is up to how many differences a listing may show before it is
// believed without asking for each config by id. Listings may lag behind.
const confirmAtMost = 100

// toolkitsFresh is how long a catalogue is used before it is read again.
const toolkitsFresh = 6 * time.Hour

// A syncRun is a sync in progress.
type syncRun struct {
	read int
	done chan struct{}
}

// Run syncs every project when started, then at the interval and when asked, as
// long as ctx lasts. Each project has one sync at a time.
func (s *Service) Run(ctx context.Context) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	defer s.group.Wait()
	tick := time.NewTicker(s.settings.SyncInterval)
	defer tick.Stop()
	for {
		s.syncAll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// SyncNow syncs a project and returns when that is done or ctx is over, whichever
// comes first; the sync goes on in any case.
func (s *Service) SyncNow(ctx context.Context, projectID string) {
	done := make(chan struct{})
	s.mu.Lock()
	running := s.ctx
	s.mu.Unlock()
	s.group.Go(func() {
		defer close(done)
		if err := s.Sync(running, projectID); err != nil && running.Err() == nil {
			s.log.Warn("sync", "project", projectID, "err", err)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// SyncSoon makes [Service.Run] start its next round now.
func (s *Service) SyncSoon() {
	select {
	case s.wake <- struct{}{}:
	default: // it is going to anyway
	}
}

func (s *Service) syncAll(ctx context.Context) {
	projects, err := s.store.Projects(ctx)
	if err != nil {
		s.log.Error("list projects to sync", "err", err)
		return
	}
	for _, p := range projects {
		if p.Archived() || ctx.Err() != nil {
			continue
		}
		if err := s.wakeDrift(ctx, p.ID); err != nil && ctx.Err() == nil {
			s.log.Error("look for drift that was ignored", "project", p.Slug, "err", err)
		}
		if err := s.Sync(ctx, p.ID); err != nil && ctx.Err() == nil {
			s.log.Warn("sync", "project", p.Slug, "err", err)
		}
		if err := s.SyncCatalogue(ctx, p.ID); err != nil && ctx.Err() == nil {
			s.log.Warn("sync toolkits", "project", p.Slug, "err", err)
		}
	}
}

// Syncing reports whether a sync of the project is running, and how many
// configs it has read.
func (s *Service) Syncing(projectID string) (read int, running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.progress[projectID]
	if run == nil {
		return 0, false
	}
	return run.read, true
}

// Sync reads all configs of a project and brings the mirror up to date. Where a
// sync of the project is running already, it waits for that one instead. What
// changed at Composio without us becomes history; a listing that breaks off is
// thrown away.
func (s *Service) Sync(ctx context.Context, projectID string) error {
	s.mu.Lock()
	if run := s.progress[projectID]; run != nil {
		s.mu.Unlock()
		select {
		case <-run.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	run := &syncRun{done: make(chan struct{})}
	s.progress[projectID] = run
	s.mu.Unlock()
	s.act()
	defer func() {
		s.mu.Lock()
		delete(s.progress, projectID)
		s.mu.Unlock()
		s.act()
		close(run.done)
	}()

	started := s.now()
	err := s.sync(ctx, projectID, run, started)
	if err != nil && ctx.Err() == nil {
		if ferr := s.store.FailSync(ctx, projectID, started, Refusal(err).Message); ferr != nil {
			return ferr
		}
	}
	return err
}

func (s *Service) sync(ctx context.Context, projectID string, run *syncRun, started time.Time) error {
	before, err := s.store.Snapshot(ctx, projectID)
	if err != nil {
		return err
	}
	p, err := s.store.Project(ctx, projectID)
	if err != nil {
		return err
	}
	c, err := s.Client(ctx, projectID)
	if err != nil {
		return err
	}
	found, err := s.list(ctx, c, run)
	if err != nil {
		return err
	}
	if err := confirm(ctx, c, before, found); err != nil {
		return err
	}
	u := update{project: projectID, at: s.now(), baseline: !p.Sync.Baseline, before: before, found: found}
	if err := s.saveDifferences(ctx, u); err != nil {
		return err
	}
	return s.store.SaveSync(ctx, projectID, func(Current) (Update, error) {
		return Update{State: SyncState{Baseline: true, StartedAt: started, OKAt: s.now()}, Events: u.baselineEvents()}, nil
	})
}

// atOnce is how many configs a sync writes in one transaction: others who write
// wait for it.
const atOnce = 25

// saveDifferences writes what a listing found, a part at a time. What a stop
// leaves undone is a difference again at the next sync.
func (s *Service) saveDifferences(ctx context.Context, u update) error {
	for ids := range slices.Chunk(u.differing(), atOnce) {
		err := s.store.SaveSync(ctx, u.project, func(now Current) (Update, error) {
			part := u // a transaction may run again from the beginning
			err := part.build(now, ids)
			return part.Update, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads all configs, by id.
func (s *Service) list(ctx context.Context, c *composio.Client, run *syncRun) (map[string]AuthConfig, error) {
	found := map[string]AuthConfig{}
	for a, err := range c.AuthConfigs.List(ctx, composio.AuthConfigQuery{}) {
		if err != nil {
			return nil, err
		}
		if composio.CheckID(a.ID) != nil {
			s.log.Warn("an auth config with an unusable id was left out")
			continue
		}
		found[a.ID] = FromAPI(a)
		s.mu.Lock()
		run.read = len(found)
		s.mu.Unlock()
		s.activity.Add(1)
	}
	return found, nil
}

// confirm asks by id for every config that is missing from the listing, and, if
// they are few, for every one that differs: a missing one is gone only when the
// answer is 404.
func confirm(ctx context.Context, c *composio.Client, before *Snapshot, found map[string]AuthConfig) error {
	var ask []string
	for known := range before.All {
		if _, ok := found[known.ID]; !ok {
			ask = append(ask, known.ID)
		}
	}
	var differ []string
	for id, a := range found {
		if known, ok := before.Get(id); ok && !sameConfig(known, a) {
			differ = append(differ, id)
		}
	}
	if len(differ) <= confirmAtMost {
		ask = append(ask, differ...)
	}
	for _, id := range ask {
		a, err := c.AuthConfigs.Get(ctx, id)
		switch {
		case composio.NotFound(err):
			delete(found, id)
		case err != nil:
			return err
		default:
			found[id] = FromAPI(a)
		}
	}
	return nil
}

// Refresh reads one config and returns it as Composio has it now; the mirror is
// left alone. A config that is gone is a problem of kind NotFound.
func (s *Service) Refresh(ctx context.Context, projectID, id string) (AuthConfig, error) {
	c, err := s.Client(ctx, projectID)
	if err != nil {
		return AuthConfig{}, err
	}
	a, err := c.AuthConfigs.Get(ctx, id)
	if composio.NotFound(err) {
		return AuthConfig{}, problem.New(problem.NotFound, "Composio no longer has this auth config.").Because(err)
	}
	if err != nil {
		return AuthConfig{}, err
	}
	return FromAPI(a), nil
}
