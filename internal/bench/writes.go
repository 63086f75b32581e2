package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A poster is a signed-in person who sends forms.
type poster struct {
	base   string
	cookie *http.Cookie
}

func (b *bench) posters(console *child) ([]poster, error) {
	var all []poster
	for i := range voters {
		cookie, err := signIn(console.url, voter(i))
		if err != nil {
			return nil, err
		}
		all = append(all, poster{console.url, cookie})
	}
	return all, nil
}

func (p poster) header() http.Header {
	return http.Header{"Cookie": {p.cookie.Name + "=" + p.cookie.Value}}
}

// errNoForm says that a page doesn't offer a form.
var errNoForm = errors.New("the page has no such form")

// A filled form is ready to be sent.
type filled struct {
	poster
	action string
	values url.Values
}

var hidden = regexp.MustCompile(`name="([a-z]+)" value="([^"]*)"`)

// fill reads a page and fills one of its forms.
func (p poster) fill(page, action string, values url.Values) (filled, error) {
	f := filled{p, action, values}
	text, err := fetch(p.base+page, p.header())
	if err != nil {
		return f, err
	}
	_, form, found := strings.Cut(string(text), `action="`+action+`"`)
	if !found {
		return f, errNoForm
	}
	form, _, _ = strings.Cut(form, "</form>")
	for _, m := range hidden.FindAllStringSubmatch(form, -1) {
		if name := m[1]; name == "csrf" || name == "op" || name == "effect" {
			values.Set(name, html.UnescapeString(m[2]))
		}
	}
	return f, nil
}

var keepAlive = &http.Transport{MaxIdleConnsPerHost: 64}

// send sends the form and returns how long the answer took.
func (f filled) send(ctx context.Context) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+f.action, strings.NewReader(f.values.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header = f.header()
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sent := time.Now()
	resp, err := keepAlive.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	took := time.Since(sent)
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close() // it was read to its end
	if err == nil && resp.StatusCode != http.StatusSeeOther {
		err = fmt.Errorf("%s answered %s", f.action, resp.Status)
	}
	return took, err
}

// paced sends forms one by one at an interval, each at its time, until they are
// over or stop is closed, and returns how long each took.
func paced(ctx context.Context, forms []filled, every time.Duration, stop <-chan struct{}) ([]float64, error) {
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		times  []float64
		failed error
	)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for _, f := range forms {
		select {
		case <-stop:
			wait.Wait()
			return times, failed
		case <-tick.C:
		}
		wait.Go(func() {
			took, err := f.send(ctx)
			mu.Lock()
			defer mu.Unlock()
			times = append(times, took.Seconds()*1e3)
			failed = errors.Join(failed, err)
		})
	}
	wait.Wait()
	return times, failed
}

var rowID = regexp.MustCompile(`id="row-(chg_[0-9A-Z]+)"`)

// openIDs lists the open requests.
func openIDs(p poster) ([]string, error) {
	pages, err := everyPage(p.base, "/changes?tab=open", p.header())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, page := range pages {
		text, err := fetch(page, p.header())
		if err != nil {
			return nil, err
		}
		for _, m := range rowID.FindAllStringSubmatch(string(text), -1) {
			ids = append(ids, m[1])
		}
	}
	return ids, nil
}

// writing compares reading while others write 20 remarks a second with reading
// while nobody does.
func (b *bench) writing(ctx context.Context) error {
	const writeRounds, n, workers = 5, 1500, 16
	console := b.children[len(b.children)-1]
	people, err := b.posters(console)
	if err != nil {
		return err
	}
	ids, err := openIDs(people[0])
	if err != nil {
		return err
	}
	cookie, err := signIn(console.url, reviewer)
	if err != nil {
		return err
	}
	h := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}
	for _, page := range []struct{ name, path string }{{"inbox", "/changes"}, {"list page", "/projects/" + slug + "/auth-configs"}} {
		g := goal{ID: "G1/2", Name: page.name + " while 20 remarks a second are made / none", AtMost: true, Floor: 2, Target: 1.5}
		read := job{URLs: []string{console.url + page.path}, Header: h, N: n, Workers: workers, Status: http.StatusOK}
		for range writeRounds {
			var forms []filled
			for i := range 100 {
				at := "/changes/" + ids[i%len(ids)]
				f, err := people[i%voters].fill(at, at+"/comment", url.Values{"text": {"Looked at it."}, "about": {""}})
				if err != nil {
					return err
				}
				forms = append(forms, f)
			}
			quiet, err := console.ask(ctx, read)
			if err != nil {
				return err
			}
			busy, err := whileWriting(ctx, forms, func() (figure, error) { return console.ask(ctx, read) })
			if err != nil {
				return err
			}
			g.Ratios = append(g.Ratios, busy.CPU/quiet.CPU)
			g.Ceiling, g.Ours = fmt.Sprintf("%.0f µs", quiet.CPU), fmt.Sprintf("%.0f µs", busy.CPU)
		}
		b.report.add(g)
	}
	return nil
}

// whileWriting measures something while forms are sent, 20 a second.
func whileWriting(ctx context.Context, forms []filled, measure func() (figure, error)) (figure, error) {
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		_, err := paced(ctx, forms, 50*time.Millisecond, stop)
		stopped <- err
	}()
	f, err := measure()
	close(stop)
	return f, errors.Join(err, <-stopped)
}
