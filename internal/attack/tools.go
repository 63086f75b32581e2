package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A target is an address with parameters that sqlmap tries, and, for a form, its
// fields.
type target struct{ url, data string }

// attackers are whom the tools come as, and where sqlmap tries.
var attackers = []struct {
	email   string
	targets []target
}{
	{"editor@example.com", []target{
		{"/projects/staging/auth-configs?q=slack&toolkit=slack&scheme=OAUTH2&status=enabled&managed=yes&sort=name&after=x", ""},
		{"/projects/staging/auth-configs/new?toolkit=github&scheme=OAUTH2", ""},
		{"/changes?q=slack&tab=done&before=x", ""},
	}},
	{"auditor@example.com", []target{
		{"/history?q=slack&from=2026-01-01&to=2030-12-01&before=100&actor=x&action=y", ""},
		{"/history/1*", ""}, {"/projects/staging*/as-of?at=2030-01-01T00:00&q=slack", ""}, {"/reviews/new?q=slack&from=2026-01-01&to=2030-01-01", ""},
	}},
	{"admin@example.com", []target{
		{"/people/usr_1*", ""}, {"/people?q=a", ""}, {"/signin?next=/changes", ""}, {"/signin", "csrf=&email=a%40example.com&secret.passphrase=x"},
		{"/account", "csrf=&op=&name=Ada"}, {"/people", "csrf=&op=&name=Eve&email=eve%40example.com&roles=viewer"},
	}},
}

// sqlmap looks for ways to make a parameter part of a query.
func sqlmap(ctx context.Context, g *gate, dir string, t target) []finding {
	args := []string{"--batch", "--disable-coloring", "--flush-session", "--output-dir=" + dir, "-u", g.url + t.url, "--dbms=sqlite", "--level=2", "--risk=2", "--technique=BEUS", "--ignore-code=*"}
	switch { // no faster than one person may
	case t.data != "":
		args = append(args, "--delay=0.2")
	case strings.HasPrefix(t.url, "/history") || strings.HasPrefix(t.url, "/reviews") || strings.Contains(t.url, "as-of"):
		args = append(args, "--delay=0.5")
	default:
		args = append(args, "--threads=4")
	}
	if t.data != "" {
		page, _, _ := strings.Cut(t.url, "?")
		args = append(args, "--data="+t.data, "--csrf-token=csrf", "--csrf-url="+g.url+page)
	}
	out, err := exec.CommandContext(ctx, "sqlmap", args...).CombinedOutput() //nolint:gosec // our own arguments
	text := string(out)
	say.Printf("sqlmap %s: %s\n", t.url, verdict(text))
	switch {
	case strings.Contains(text, "identified the following injection point"):
		return []finding{{"sqlmap", "injection", t.url}}
	case err != nil || !strings.Contains(text, "do not appear to be injectable"):
		return []finding{{"sqlmap", "did not finish", t.url + ": " + lastLine(out)}}
	}
	return nil
}

// verdict is the line of sqlmap's output that counts.
func verdict(text string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "do not appear to be injectable") || strings.Contains(line, "identified the following") || strings.Contains(line, "[CRITICAL]") {
			short, _, _ := strings.Cut(strings.TrimSpace(line), ". Try")
			return short
		}
	}
	return "no verdict: " + lastLine([]byte(text))
}

// modules are all of wapiti's but those that need the world outside or guess names.
const modules = "backup,blindsql,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,xss,xxe"

// crawl lets wapiti find its own way, for at most so long.
func crawl(ctx context.Context, g *gate, dir string, most time.Duration) []finding {
	each := int(most.Seconds()) / (2 * (strings.Count(modules, ",") + 1))
	file := filepath.Join(dir, "report.json")
	args := []string{
		"-u", g.url + "/", "--flush-session", "--store-session", dir, "-m", modules, "--scope", "folder", "-d", "4", "--max-links-per-page", "40", "--max-files-per-dir", "20",
		"--max-scan-time", strconv.Itoa(int(most.Seconds()) / 4), "--max-attack-time", strconv.Itoa(max(each, 5)), "-f", "json", "-o", file, "--no-bugreport",
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return []finding{{"wapiti", "did not start", err.Error()}}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*most)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "wapiti", args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return []finding{{"wapiti", "did not finish", err.Error() + ": " + lastLine(out)}}
	}
	raw, err := os.ReadFile(file) //nolint:gosec // our own file
	var said struct {
		Vulnerabilities map[string][]struct{ Method, Path, Info string }
		Anomalies       map[string][]struct{ Method, Path, Info string }
	}
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	if err != nil {
		return []finding{{"wapiti", "unreadable report", err.Error()}}
	}
	var out []finding
	for _, kinds := range []map[string][]struct{ Method, Path, Info string }{said.Vulnerabilities, said.Anomalies} {
		for kind, all := range kinds {
			for _, one := range all {
				out = append(out, finding{"wapiti", kind, one.Method + " " + one.Path + ": " + one.Info})
			}
		}
	}
	return out
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
