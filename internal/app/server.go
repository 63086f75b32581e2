package app

import (
	"log/slog"
	"net/http"
	"time"
)

// HTTPServer answers with h, and gives nobody a connection for longer than a
// request and its answer may take. Event streams and exports extend their own time
// as long as they are read.
func HTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
