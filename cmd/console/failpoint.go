//go:build failpoint

package main

import (
	"log"
	"os"
	"os/signal"
	"syscall"

	"gatehouse/internal/failpoint"
)

// Test builds die or fail where the environment says, once SIGUSR1 has told them
// that the preparations are over.
func init() {
	spec := os.Getenv("CONSOLE_FAILPOINT")
	if spec == "" {
		return
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	go func() {
		<-told
		if err := failpoint.Arm(spec); err != nil {
			log.Fatal(err)
		}
		log.Print("failpoints are armed")
	}()
}
