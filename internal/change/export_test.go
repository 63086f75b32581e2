package change

import "context"

// Hold keeps the service from working by itself: tests take each step.
func (s *Service) Hold() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.ctx = ctx
}

// Sweep does what [Service.Run] does each time it looks.
func (s *Service) Sweep(ctx context.Context) { s.sweep(ctx) }

// Step does the next step of a request.
func (s *Service) Step(ctx context.Context, id string) error {
	_, err := s.next(ctx, id)
	return err
}
