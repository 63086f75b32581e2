package composio

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"math"
	"net/url"
	"strconv"
)

// A page is the envelope of every listing.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor string  `json:"next_cursor"`
	TotalItems float64 `json:"total_items"`
}

// listing iterates over all items of a listing, each once. It counts items
// against total_items: the API clamps a large limit silently, and then its
// next_cursor says that there is no more (seen live on 2026-07-20). An error is
// yielded once, as the last thing; a listing that ends early is an error.
// Items that appear or vanish while it runs may be missing.
func listing[T any](ctx context.Context, c *Client, id func(T) string, limit int, query url.Values, path ...string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		seen := map[string]bool{}
		total, clamped, cursor := math.MaxInt, false, ""
		for number := 1; ; number++ {
			p, err := fetchPage[T](ctx, c, limit, cursor, query, path)
			if err != nil {
				yield(zero, err)
				return
			}
			before := len(seen)
			for _, item := range p.Items {
				if seen[id(item)] {
					continue // the listing shifted under us
				}
				seen[id(item)] = true
				if !yield(item, nil) {
					return
				}
			}
			total = min(total, int(p.TotalItems))
			switch {
			case len(seen) >= total:
				return
			case len(seen) == before:
				yield(zero, fmt.Errorf("listing of %v ended after %d of %d items", path, len(seen), total))
				return
			case number == 1 && len(p.Items) < limit:
				clamped, limit = true, len(p.Items) // this is the real page size
			}
			cursor = p.NextCursor
			if clamped || cursor == "" {
				cursor = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d-%d", number+1, limit))
			}
		}
	}
}

func fetchPage[T any](ctx context.Context, c *Client, limit int, cursor string, query url.Values, path []string) (page[T], error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	for k, v := range query {
		q[k] = v
	}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var p page[T]
	err := c.read(ctx, &p, q, path...)
	return p, err
}
