package sandbox

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Two characters stand for what a Go string can't carry into JSON: half of a
// surrogate pair, and bytes that are no UTF-8. They are replaced on the way out.
const (
	loneSurrogate = "\ue0f1"
	brokenBytes   = "\ue0f2"
)

// hostileVectors are the strings of the hostile-strings quirk. A script that
// runs calls alert.
var hostileVectors = makeVectors()

func makeVectors() []string {
	var out []string
	for _, way := range breakouts {
		for _, script := range scripts {
			out = append(out, way+script)
		}
	}
	out = append(out, addresses...)
	out = append(out, languages...)
	out = append(out, characters...)
	return append(out, huge()...)
}

// breakouts end the places where text may have been put.
var breakouts = []string{"", `">`, `'>`, "</title>", "</textarea>", "</script>", "</style>", "-->", "]]>", "`", `\">`}

// scripts run when they end up as markup.
var scripts = []string{
	"<script>alert(1)</script>",
	"<img src=x onerror=alert(2)>",
	"<svg/onload=alert(3)>",
	"<details open ontoggle=alert(4)>",
	"<input autofocus onfocus=alert(5)>",
	`<iframe srcdoc="<script>parent.alert(6)</script>">`,
	"<a href=javascript:alert(7)>press</a>",
	"<math><mtext><table><mglyph><style><img src=x onerror=alert(8)>",
	"<form action=javascript:alert(9)><button>go</button></form>",
	"<video><source onerror=alert(10)></video>",
	"<template><script>alert(11)</script></template>",
}

// addresses run, or lead away, when they end up in an attribute.
var addresses = []string{
	"javascript:alert(20)", "JaVaScRiPt:alert(21)", " javascript:alert(22)", "java\tscript:alert(23)", "java\nscript:alert(24)",
	"javascript&colon;alert(25)", "vbscript:msgbox(26)", "data:text/html,<script>alert(27)</script>",
	"data:text/html;base64,PHNjcmlwdD5hbGVydCgyOCk8L3NjcmlwdD4=", "data:image/svg+xml,<svg onload=alert(29)>",
	"//evil.example/x.js", `\\evil.example\share`, "https://user:pass@evil.example/", "https://evil.example/?q=\"><b>",
	"http://169.254.169.254/latest/meta-data/", "http://[::1]:22/", "file:///etc/passwd", "blob:https://evil.example/1",
	"../../../../etc/passwd", "..%2f..%2f", "%00", "%0d%0aSet-Cookie:%20a=b", "/\\evil.example", "?#;&=+%",
	`" onmouseover="alert(30)`, `' onmouseover='alert(31)`, "x onmouseover=alert(32)", `" style="position:fixed;inset:0" onclick="alert(33)`,
	`" hx-get="/signout" hx-trigger="load`, `" hx-on::load="alert(34)`, `" hx-vals='js:{a:alert(35)}`, `" data-id="ac_forged`,
	`" formaction="javascript:alert(36)`, `" srcdoc="<script>alert(37)</script>`, `" autofocus onfocus="alert(38)`,
}

// languages mean something to those who read text as code.
var languages = []string{
	"{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "{{constructor.constructor('alert(40)')()}}", "{%raw%}", "@{ templ.Raw(x) }",
	"'; DROP TABLE history; --", `" OR 1=1 --`, "1; PRAGMA writable_schema=ON", "$(reboot)", "`reboot`", "| rm -rf /", "; ls",
	"=HYPERLINK(\"https://evil.example\",\"x\")", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=cmd|' /C calc'!A0",
	"%s%s%n%x", "\\u003cscript\\u003ealert(41)\\u003c/script\\u003e", "&lt;script&gt;alert(42)&lt;/script&gt;", "&#60;img src=x onerror=alert(43)&#62;",
	"__proto__", "constructor", "toString", "null", "undefined", "true", "NaN", "Infinity", "-0", "1e309", "9007199254740993",
	"[secret]", "REDACTED", "abcd...", "sha256:0000", "../", ".", "", " ", "   ", "ENABLED", "DISABLED", "ac_000000000000",
	"{\"a\":[1,{}]}", "<!--", "<![CDATA[", "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><x>&a;</x>",
	"# heading\n- [link](javascript:alert(44))", "first line\nsecond line", "first\r\nSet-Cookie: a=b", "a,b;c\td\"e\"",
}

// characters are hard to show, or show as something else.
var characters = []string{
	"\x00null", "bell\x07", "back\x08\x08\x08space", "esc\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "delete\x7f", "next\u0085line",
	"\u202egnp.exe", "\u202atext\u202c", "\u202btext\u202c", "\u202dtext\u202c", "\u2066a\u2069", "\u2067b\u2069", "\u2068c\u2069",
	"\u200eleft", "\u200fright", "\u061cletter", "admin\u202e\u2066 \u2069\u2066nimda", "zero\u200bwidth", "joined\u200dup", "\ufefffeffed",
	"soft\u00adhyphen", "word\u2060joiner", "line\u2028break", "paragraph\u2029break", "\u00a0\u2003\u3000", "g\u0456thub", "\u0430dmin",
	"\uff1cscript\uff1ealert(50)\uff1c/script\uff1e", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033da\u0334\u0319\u0324l\u0359\u030ago", "e\u0301", "\u00e9",
	"\u0130\u0131", "\u1e9e", "\ufb01le", "\u202f\u2009thin", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f4\U000e0067\U000e0062\U000e007f",
	"\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "half" + loneSurrogate, "broken" + brokenBytes + "bytes",
	"\u0627\u0644\u0639\u0631\u0628\u064a\u0629 abc", "\u05e2\u05d1\u05e8\u05d9\u05ea 123", "\u65e5\u672c\u8a9e", "\u0939\u093f\u0928\u094d\u0926\u0940",
}

// huge strings are long in one way or another.
func huge() []string {
	return []string{
		strings.Repeat("A", 300), strings.Repeat("W", 4096), strings.Repeat("long words ", 1000), strings.Repeat("\u2588", 2000),
		strings.Repeat("<b>", 2000), strings.Repeat("\n", 500), strings.Repeat("\U0001f600", 1000), "a" + strings.Repeat("\u0301", 1000),
		strings.Repeat("\u202e", 200), strings.Repeat("&amp;", 2000), strings.Repeat("\"", 1000), strings.Repeat("x", 16<<10),
	}
}

// encode writes an answer as JSON. Like the real server it leaves markup as it
// is.
func (s *Server) encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("sandbox: encode answer: " + err.Error()) // all answers are values of ours
	}
	out := bytes.TrimSpace(b.Bytes())
	if s.quirks.hostileStrings {
		out = bytes.ReplaceAll(out, []byte(loneSurrogate), []byte(`\ud800`))
		out = bytes.ReplaceAll(out, []byte(brokenBytes), []byte{0xff, 0xfe})
	}
	return out
}
