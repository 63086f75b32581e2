package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load sends the requests of a job and prints what it saw.
func load(ctx context.Context, in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	client := &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: j.Workers, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var (
		next    atomic.Int64
		mu      sync.Mutex
		times   = make([]float64, 0, j.N)
		o       outcome
		failure error
		workers sync.WaitGroup
	)
	worker := func() {
		etag := ""
		for i := int(next.Add(1)) - 1; i < j.N; i = int(next.Add(1)) - 1 {
			sent := time.Now()
			status, tag, n, err := j.send(ctx, client, i, etag)
			took := time.Since(sent).Seconds() * 1e3
			if j.Revisit && tag != "" {
				etag = tag
			}
			mu.Lock()
			times = append(times, took)
			o.Bytes = max(o.Bytes, n)
			if status != j.Status {
				o.Wrong++
			}
			failure = errors.Join(failure, err)
			mu.Unlock()
		}
	}
	begun := time.Now()
	for range j.Workers {
		workers.Go(worker)
	}
	workers.Wait()
	if failure != nil {
		return failure
	}
	o.Seconds = time.Since(begun).Seconds()
	slices.Sort(times)
	o.P50, o.P99 = times[len(times)/2], times[len(times)*99/100]
	return json.NewEncoder(out).Encode(o)
}

func (j *job) send(ctx context.Context, client *http.Client, i int, etag string) (status int, tag string, n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.URLs[i%len(j.URLs)], nil)
	if err != nil {
		return 0, "", 0, err
	}
	for k, v := range j.Header {
		req.Header[k] = v
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", 0, err
	}
	size, err := io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // it was read to its end
	return resp.StatusCode, resp.Header.Get("Etag"), int(size), err
}
