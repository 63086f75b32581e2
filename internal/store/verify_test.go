package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// A history that is written, and from which people are erased, while it is
// verified is not called tampered with.
func TestVerifyWhileWritten(t *testing.T) {
	s := open(t, private(t))
	people := access.NewService(s, nil, time.Now)
	by := access.Reader{User: access.User{ID: "usr_1", Name: "Ada", Grants: access.Unscoped(access.Admin), State: access.Active}}
	for range 2000 {
		if err := s.Record(t.Context(), audit.Event{Actor: audit.System(), Action: "x.y"}); err != nil {
			t.Fatal(err)
		}
	}
	var writers sync.WaitGroup
	done := make(chan struct{})
	writers.Go(func() {
		for !closed(done) {
			if err := s.Record(t.Context(), audit.Event{Actor: audit.Actor{Kind: audit.ActorUser, ID: "usr_1", Email: "a@example.com"}, Action: "x.y"}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	writers.Go(func() {
		for i := 2; !closed(done); i++ {
			gone := access.User{ID: fmt.Sprint("usr_", i), Name: "Bo", Email: fmt.Sprint("bo", i, "@example.com"), State: access.Active}
			err := s.AddAccount(t.Context(), access.Account{User: gone}, nil, audit.Event{Actor: gone.Actor(access.Origin{IP: "192.0.2.1"}), Action: "user.added"})
			if err == nil {
				err = people.SetDisabled(t.Context(), by, gone.ID, true)
			}
			if err == nil {
				err = people.Erase(t.Context(), by, gone.ID)
			}
			if err == nil {
				err = s.FinishErasures(t.Context())
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 60 {
		if _, err := s.VerifyHistory(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	writers.Wait()
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
