package evidence

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/audit"
)

// columns are the first line of a CSV file.
var columns = []string{
	"seq", "time", "actor_kind", "actor_id", "actor_name", "actor_email", "actor_ip", "actor_agent", "action", "object_kind", "object_id", "object_name",
	"project", "request", "outcome", "changes", "reason", "detail", "actor_token", "actor_token_name",
}

// cells are an entry as the cells of a line, with or without addresses of people.
func cells(e audit.Entry, personal bool) []string {
	email, ip, agent := e.Actor.Email, e.Actor.IP, e.Actor.Agent
	if !personal {
		email, ip, agent = "", "", ""
	}
	var changes, detail []string
	for _, c := range e.Changes {
		changes = append(changes, c.Field+": "+strings.Join(c.Before, ", ")+" → "+strings.Join(c.After, ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		detail = append(detail, k+": "+e.Detail[k])
	}
	return []string{
		strconv.FormatInt(e.Seq, 10), e.Time.UTC().Format(audit.TimeFormat), e.Actor.Kind, e.Actor.ID, e.Actor.Name, email, ip, agent,
		e.Action, e.Object.Kind, e.Object.ID, e.Object.Name, e.Project, e.Request, e.Outcome,
		strings.Join(changes, "; "), e.Reason, strings.Join(detail, "; "), e.Actor.Token, e.Actor.TokenName,
	}
}

// formula are the characters by which spreadsheets take a cell for a formula.
const formula = "=+-@\t\r\n＝＋－＠"

// Harmless returns a cell that no spreadsheet takes for a formula.
func Harmless(cell string) string {
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formula, first) {
		return "'" + cell
	}
	return cell
}

// writeCells writes one line of CSV. Every cell is quoted, so that none can be
// split at another separator.
func writeCells(w *bufio.Writer, cells []string) error {
	for i, c := range cells {
		if i > 0 {
			_ = w.WriteByte(',') // the last write tells
		}
		_ = w.WriteByte('"')
		_, _ = w.WriteString(strings.ReplaceAll(Harmless(c), `"`, `""`))
		_ = w.WriteByte('"')
	}
	_, err := w.WriteString("\r\n")
	return err
}

// A Line is a row as JSON lines and packs have it. Body is exactly what is
// hashed: Hash is SHA-256(0x00 ‖ Body). A body that isn't text, which only
// tampering can bring about, comes in base64 beside it.
type Line struct {
	Seq      int64          `json:"seq"`
	Body     string         `json:"body"`
	Base64   string         `json:"body_base64,omitempty"`
	Hash     string         `json:"hash"`
	Prev     string         `json:"prev"`
	Personal []PersonalLine `json:"personal"`
}

// A PersonalLine is personal data of a row: the body holds SHA-256(salt ‖ value)
// under the field's name.
type PersonalLine struct {
	Field string `json:"field"`
	Salt  string `json:"salt"` // hexadecimal
	Value string `json:"value"`
}

func line(r audit.Row, personal bool) Line {
	l := Line{Seq: r.Seq, Body: string(r.Body), Hash: r.Hash.String(), Prev: r.Prev.String(), Personal: []PersonalLine{}}
	if !utf8.Valid(r.Body) {
		l.Body, l.Base64 = "", base64.StdEncoding.EncodeToString(r.Body)
	}
	for _, p := range r.Personal {
		if personal || !p.Address() {
			l.Personal = append(l.Personal, PersonalLine{p.Field, hex.EncodeToString(p.Salt), p.Value})
		}
	}
	return l
}

// writeLine writes v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
