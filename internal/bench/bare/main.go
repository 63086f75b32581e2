// Program bare is the least that a Go server can be, to compare starts and
// memory with.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {
	server := &http.Server{Addr: os.Args[1], ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello")) // whoever asks sees what is missing
	})}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
}
