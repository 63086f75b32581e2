package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/problem"
	"gatehouse/internal/review"
	"gatehouse/internal/store"
	"gatehouse/web/templates"
)

// closedReview returns a review that is closed, what was done in it, and its
// report as it was when it was closed, if nobody has changed the tables since.
func (s *Server) closedReview(c echo.Context) (r review.Review, sheet review.Sheet, report []byte, err error) {
	ctx := c.Request().Context()
	if r, err = s.store.Review(ctx, c.Param("id")); err != nil {
		return r, sheet, nil, err
	}
	if r.Open() {
		return r, sheet, nil, problem.New(problem.NotFound, "This review is not closed, so there is no report yet.")
	}
	if sheet, err = s.store.ReviewSheet(ctx, r.ID); err != nil {
		return r, sheet, nil, err
	}
	report, err = review.Report(r, sheet)
	return r, sheet, report, err
}

// reviewReportFile sends the report as the file whose hash history holds.
func (s *Server) reviewReportFile(c echo.Context) error {
	_, _, report, err := s.closedReview(c)
	if err == nil {
		err = beforeShown(c)
	}
	if err != nil {
		return err
	}
	attach(c, "application/json", "review.json")
	return c.Blob(http.StatusOK, "application/json", report)
}

// reviewReport shows what a review came to, for paper too.
func (s *Server) reviewReport(c echo.Context) error {
	r, sheet, report, err := s.closedReview(c)
	if err != nil {
		return err
	}
	p, err := s.store.ReviewProgress(c.Request().Context(), r.ID)
	if err != nil {
		return err
	}
	frame, err := s.frame(c, place{title: "Report", nav: "History", crumbs: append(reviewCrumbs[:2:2], templates.LinkView{Text: r.Name, URL: templates.Local(reviewPath(r.ID))})})
	if err != nil {
		return err
	}
	closing, err := s.closingEntry(c, r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(report)
	v := templates.ReportView{
		Page: frame, Name: r.Name, Sub: reviewAbout(r), File: templates.Local(reviewPath(r.ID) + "/report.json"), Conclusion: r.Conclusion,
		Facts: reportFacts(r), Numbers: reportNumbers(r, p, sheet), Check: reportCheck(hex.EncodeToString(sum[:]), closing),
		Proof: reportProof(r, closing, hex.EncodeToString(sum[:])), Verify: reportSteps,
	}
	if closing.Seq == 0 {
		if where, left, err := s.leftIn(c.Request().Context(), r.Closed.At); err != nil {
			return err
		} else if left {
			v.Check = templates.NoticeView{Tone: "info", Title: "Compare this report with its archive.", Text: "The entry that it was closed by, with the hash of the report, is " + where + ". The report's SHA-256 is " + hex.EncodeToString(sum[:]) + "."}
		}
	}
	v.Evidence = s.evidenceLink(c, reviewPath(r.ID))
	if s.witness != nil {
		v.Problem = integrityProblem(s.witness.Known(), reader(c).May(access.ViewSettings))
	}
	if err := s.signReport(c, &v, r, closing, hex.EncodeToString(sum[:])); err != nil {
		return err
	}
	if v.Flags, err = s.flagViews(c, sheet.Flags); err != nil {
		return err
	}
	return page(c, templates.Report(v))
}

// closingEntry is the entry of history that a review was closed by.
func (s *Server) closingEntry(c echo.Context, r review.Review) (audit.Entry, error) {
	found, err := s.store.History(c.Request().Context(), store.HistoryQuery{Object: r.ID, Action: "review.closed", Limit: 1})
	if err == nil && len(found) == 0 {
		_, err = s.store.Searchable(c.Request().Context())
	}
	if err != nil || len(found) == 0 {
		return audit.Entry{}, err
	}
	return found[0], nil
}

// signNow has history signed, so that what was just done is covered. It is signed
// within a minute anyway.
func (s *Server) signNow(c echo.Context) {
	if s.witness == nil {
		return
	}
	if err := s.witness.Checkpoint(detach(c), "review"); err != nil {
		s.log.Error("sign history", "request", requestID(c), "err", err)
	}
}

// signReport adds what proves when the review was closed with this report: the
// checkpoint that covers its closing, and a signature.
func (s *Server) signReport(c echo.Context, v *templates.ReportView, r review.Review, closing audit.Entry, sum string) error {
	if s.witness == nil || closing.Detail["report_sha256"] != sum {
		return nil
	}
	ctx := c.Request().Context()
	point, err := s.store.FirstCheckpoint(ctx, closing.Seq)
	if err != nil || point.Size == 0 {
		return err
	}
	v.Proof = append(v.Proof,
		templates.FactView{Name: "Covered by the checkpoint of", Text: exact(point.Time).Full + ", over " + number(int(point.Size)) + " entries"},
		templates.FactView{Name: "Its root", Code: base64.StdEncoding.EncodeToString(point.Root[:])},
		templates.FactView{Name: "Public key", Code: s.witness.PublicKey()},
	)
	text := "review " + r.ID + "\nreport " + sum + "\nentries " + r.Scope.Set + "\nclosed by " + strconv.FormatInt(closing.Seq, 10) + "\nclosed at " + closing.Time.Format(audit.TimeFormat) + "\n"
	if s.witness.Known().Problem != nil {
		text += "history is not as it was written\n"
	}
	note, err := s.witness.Sign(ctx, "review", []byte(text))
	v.Signed = string(note)
	return err
}

// reportCheck compares the report with the hash that history holds.
func reportCheck(sum string, closing audit.Entry) templates.NoticeView {
	if closing.Detail["report_sha256"] != sum {
		return templates.NoticeView{Tone: "bad", Title: "This report is not what the review was closed with.", Text: "What the database holds of the review has been changed since. Take the report for unproven, and tell whoever runs this console."}
	}
	return templates.NoticeView{
		Tone: "good", Text: "This is what the review was closed with: the report's hash is the one in entry " + number(int(closing.Seq)) + " of history.",
		Link: templates.LinkView{Text: "Open the entry", URL: templates.Local(entryPath(closing.Seq))},
	}
}

func reportFacts(r review.Review) []templates.FactView {
	words := r.Query
	if words == "" {
		words = "None: all entries"
	}
	return []templates.FactView{
		{Name: "Search", Text: words},
		{Name: "Period", Text: capital(periodText(r.From, r.To, r.Opened.At))},
		{Name: "Opened", Text: "by " + r.Opened.By.Name + ", " + exact(r.Opened.At).Full},
		{Name: "Closed", Text: "by " + r.Closed.By.Name + ", " + exact(r.Closed.At).Full},
	}
}

func reportNumbers(r review.Review, p review.Progress, sheet review.Sheet) []templates.FactView {
	facts := []templates.FactView{{Name: "Entries", Text: number(r.Entries)}}
	for _, l := range sheet.Lookers {
		facts = append(facts, templates.FactView{Name: "Looked at by " + l.Name, Text: number(l.Entries)})
	}
	if left := r.Entries - p.Looked; left > 0 {
		facts = append(facts, templates.FactView{Name: "Not looked at", Text: number(left)})
	}
	return append(facts, templates.FactView{Name: "Flagged", Text: number(p.Flagged)}, templates.FactView{Name: "Settled", Text: number(p.Accepted)})
}

func reportProof(r review.Review, closing audit.Entry, sum string) []templates.FactView {
	return []templates.FactView{
		{Name: "Review", Code: r.ID},
		{Name: "Last entry when it was opened", Text: number(int(r.Scope.UpTo))},
		{Name: "SHA-256 of its entries", Code: r.Scope.Set},
		{Name: "Closed by entry", Code: strconv.FormatInt(closing.Seq, 10)},
		{Name: "SHA-256 of the report", Code: sum},
	}
}

// reportSteps say how to verify a report without trusting this page.
var reportSteps = []string{
	"Download the report as JSON and run sha256sum on the file. The result is the hash of the report above.",
	"Open the entry that closed the review, in the console or in an export of history as JSON lines. Its detail report_sha256 is the same hash.",
	"Download the evidence pack of the review and follow its README: with nothing but Python and OpenSSL it shows that this entry, and every entry that was reviewed, is part of history as the console signed it. The report lies in the pack too.",
	"The hash of the entries is the SHA-256 of one line for each, the newest first: number, space, hash, line feed. An export of the same search as JSON lines holds them.",
}
