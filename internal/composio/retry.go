package composio

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

const (
	backoffFirst  = 500 * time.Millisecond
	backoffMost   = 8 * time.Second
	retryAfterMax = time.Minute // a longer Retry-After is not believed
)

// read makes a GET, repeated on 429, 5xx and transport errors up to maxAttempts
// in all, within the client's read budget.
func (c *Client) read(ctx context.Context, out any, query url.Values, path ...string) error {
	return c.repeat(ctx, call{method: http.MethodGet, path: path, query: query}, out)
}

// repeat makes a call that changes nothing, whatever its method.
func (c *Client) repeat(ctx context.Context, r call, out any) error {
	for n := 1; ; n++ {
		if err := c.budget.Wait(ctx); err != nil {
			return &TransportError{Err: err}
		}
		err := c.attempt(ctx, c.reads, r, out)
		if err == nil || n == maxAttempts || !repeatable(err) || ctx.Err() != nil {
			return err
		}
		if wait(ctx, delay(n, err)) != nil {
			return err
		}
	}
}

func repeatable(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500
	}
	return true
}

// delay is how long to wait after attempt n failed: what the server asked for
// and up to a quarter more, if that is believable, else a doubling back-off
// less up to a quarter.
func delay(n int, err error) time.Duration {
	jitter := 0.25 * mathrand.Float64() //nolint:gosec // nothing to guess here
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 && e.RetryAfter <= retryAfterMax {
		return time.Duration(float64(e.RetryAfter) * (1 + jitter))
	}
	d := min(backoffFirst<<(n-1), backoffMost)
	return time.Duration(float64(d) * (1 - jitter))
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

type requestIDKey struct{}

// ContextWithRequestID makes calls under ctx carry this x-request-id, by which
// Composio's support can find them. Without it each call gets one of its own.
func ContextWithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func requestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok && id != "" {
		return id
	}
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}
