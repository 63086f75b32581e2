package sink

import (
	"context"
	"time"

	"gatehouse/internal/audit"
)

// A Store keeps sinks and the history that they get. What is missing is a problem
// of kind NotFound.
type Store interface {
	Sink(ctx context.Context, id string) (Sink, error)
	Sinks(ctx context.Context) ([]Sink, error)
	AddSink(ctx context.Context, k Sink, e audit.Event) error
	RemoveSink(ctx context.Context, id string, e audit.Event) error
	// SteerSink changes a sink, its cursor and its health, with the entry that says
	// so; its kind and key stay. Where fn fails, nothing is changed. A name that
	// another one has is a problem.
	SteerSink(ctx context.Context, id string, fn func(*Sink) (audit.Event, error)) (Sink, error)

	// SinkDelivered moves a sink's cursor after a delivery, or past what it doesn't
	// get. It reports false where the sink is of another epoch by now, or gone.
	SinkDelivered(ctx context.Context, k Sink, upTo int64, sent bool) (bool, error)
	// SinkFailed keeps how a delivery failed and when it is due again.
	SinkFailed(ctx context.Context, k Sink, problem string, tries int, due time.Time) error
	// SinkFilter returns the function that a filter stands for, or what is wrong
	// with it as a problem.
	SinkFilter(ctx context.Context, text string) (func(audit.Entry) bool, error)

	HistoryHead(ctx context.Context) (audit.Head, error)
	// HistoryBegin returns the number of the first entry that has not left for an
	// archive.
	HistoryBegin(ctx context.Context) (int64, error)
	// HistoryAfter returns the rows after one, in order.
	HistoryAfter(ctx context.Context, seq int64, limit int) ([]audit.Row, error)
	// Recorded returns a channel that is closed when history next grows.
	Recorded() <-chan struct{}
}
