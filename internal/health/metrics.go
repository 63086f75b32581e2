package health

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gatehouse/internal/change"
)

// Metrics are what Prometheus reads. Counters start at zero with the program.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	attempts *prometheus.CounterVec
}

// NewMetrics returns metrics that count.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_http_requests_total", Help: "Requests that were answered."}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_seconds", Help: "How long requests took.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gatehouse_apply_attempts_total", Help: "Attempts to carry a change out at Composio, by outcome."}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.attempts, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Answered counts a request. The route is its pattern, which bounds how many
// series there are.
func (m *Metrics) Answered(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // it is the client's to choose
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(method, route).Observe(took.Seconds())
}

// Attempted counts an attempt to carry a change out.
func (m *Metrics) Attempted(outcome string) { m.attempts.WithLabelValues(outcome).Inc() }

// Handler answers /metrics, and /readyz with more than the public one says. It may
// be called once.
func (m *Metrics) Handler(s *Service, log *slog.Logger) http.Handler {
	m.registry.MustRegister(&collector{s, log}, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "gatehouse_logged_errors_total", Help: "Errors in the log since the start."},
		func() float64 { return float64(s.Errors.Total()) }))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { s.tell(w, r, log) })
	return mux
}

// tell answers with the state and every trouble.
func (s *Service) tell(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	report, err := s.Report(r.Context())
	if err != nil {
		log.Error("look how the console is", "err", err)
		http.Error(w, string(NotReady), http.StatusServiceUnavailable)
		return
	}
	lines := []string{string(report.State())}
	for _, t := range report.Troubles {
		lines = append(lines, t.What+" "+t.Do)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if report.State() == NotReady {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write([]byte(strings.Join(lines, "\n") + "\n")) // whoever asked may be gone
}

// A collector turns a report into gauges each time that Prometheus asks.
type collector struct {
	service *Service
	log     *slog.Logger
}

// Describe implements [prometheus.Collector]: what there is depends on projects
// and sinks.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := c.service.Report(ctx)
	g := gauges{out}
	g.set("up", "Whether the console could be looked at.", truth(err == nil))
	if err != nil {
		c.log.Error("collect metrics", "err", err)
		return
	}
	g.set("build_info", "Version of the program.", 1, "version", r.Build, "go", r.Go)
	g.set("ready", "0 if requests can't be served.", truth(r.State() != NotReady))
	g.set("troubles", "What isn't as it should be; Settings, Operation lists it.", float64(len(r.Troubles)))
	g.load(r)
	g.history(r)
	g.remote(r)
}

// gauges send metrics under our name. Labels are pairs of names and values.
type gauges struct{ out chan<- prometheus.Metric }

func (g gauges) set(name, help string, value float64, labels ...string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	g.out <- prometheus.MustNewConstMetric(prometheus.NewDesc("gatehouse_"+name, help, names, nil), prometheus.GaugeValue, value, values...)
}

// at sets a moment; one that never was is left out, as Prometheus wants it.
func (g gauges) at(name, help string, t time.Time, labels ...string) {
	if !t.IsZero() {
		g.set(name, help, float64(t.UnixMilli())/1000, labels...)
	}
}

func (g gauges) load(r Report) {
	for name, size := range r.Load.Files {
		g.set("file_bytes", "Size of a file in the data directory.", float64(size), "file", name)
	}
	g.set("schema_version", "Number of the newest migration.", float64(r.Load.Schema))
	for _, s := range change.Open() {
		g.set("changes", "Change requests that are not ended, by state.", float64(r.Load.Changes[s]), "state", string(s))
	}
	g.set("unknown_age_seconds", "How long the oldest outcome has been unknown.", age(r.At, r.Load.UnknownAt))
	g.set("outbox_deliveries", "Notifications that are due and not sent.", float64(r.Load.Deliveries))
	g.set("outbox_age_seconds", "How long the oldest of them has been due.", age(r.At, r.Load.DueAt))
	g.set("outbox_given_up", "Notifications that were given up.", float64(r.Load.GivenUp))
	g.at("backup_timestamp_seconds", "When the last backup was made.", r.BackupAt)
}

func (g gauges) history(r Report) {
	g.set("history_entries", "Number of the newest entry of history.", float64(r.Head))
	g.set("history_indexed_entries", "Up to which entry history can be searched.", float64(r.Indexed))
	g.set("history_verified_entries", "Up to which entry history was verified.", float64(r.Known.Size))
	g.set("history_ok", "0 if history is not as it was written.", truth(r.Known.Problem == nil))
	g.at("history_verified_timestamp_seconds", "When entries were last verified.", r.Known.At)
	g.at("history_verified_whole_timestamp_seconds", "When all of history was last verified in one go.", r.Known.WholeAt)
	g.at("history_signed_timestamp_seconds", "When the newest checkpoint was signed.", r.Known.SignedAt)
	for _, k := range r.Sinks {
		g.set("sink_behind_entries", "Entries that a sink has not had.", float64(k.Behind), "sink", k.Name)
		g.set("sink_behind_seconds", "Age of the first entry that a sink has not had.", age(r.At, k.Since), "sink", k.Name)
	}
}

func (g gauges) remote(r Report) {
	for _, p := range r.Projects {
		g.set("auth_configs", "Auth configs of a project.", float64(p.Configs), "project", p.Slug)
		g.set("sync_ok", "0 if the last sync of a project failed.", truth(p.Sync.Problem == ""), "project", p.Slug)
		g.at("sync_timestamp_seconds", "When a project was last read from Composio.", p.Sync.OKAt, "project", p.Slug)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// age is the seconds since a moment, 0 if it never was.
func age(now, since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return now.Sub(since).Seconds()
}
