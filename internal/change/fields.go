package change

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/composio"
	"gatehouse/internal/mirror"
	"gatehouse/internal/secret"
)

func readName(s string) ([]string, string) {
	switch {
	case s == "":
		return nil, "Enter a name."
	case utf8.RuneCountInString(s) > maxName:
		return nil, fmt.Sprintf("Use at most %d characters; this has %d.", maxName, utf8.RuneCountInString(s))
	case hasInvisible(s):
		return nil, "Leave out control characters and marks that turn the direction of text."
	case mirror.MarkerIn(s) != "":
		return nil, "Choose a name that doesn't end like one of Gatehouse's markers."
	}
	return []string{s}, ""
}

func readLine(s string) ([]string, string) {
	switch {
	case s == "":
		return []string{}, ""
	case utf8.RuneCountInString(s) > maxValue:
		return nil, fmt.Sprintf("Use at most %d characters.", maxValue)
	case hasInvisible(s):
		return nil, "Leave out control characters and line breaks."
	case secret.Masked(s):
		return nil, "This is what Composio shows in place of a value. Enter the value itself."
	}
	return []string{s}, ""
}

func readURL(s string) ([]string, string) {
	v, complaint := readLine(s)
	if complaint != "" || len(v) == 0 {
		return v, complaint
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return nil, "Enter an address such as https://example.com/callback."
	}
	return v, ""
}

func readFlag(s string) ([]string, string) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return nil, "Choose yes or no."
	}
	return []string{strconv.FormatBool(b)}, ""
}

// scopeToken is RFC 6749's scope-token without the characters that people put
// between scopes by mistake.
var scopeToken = regexp.MustCompile(`^[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7B\x7D\x7E]{1,300}$`)

func readScopes(s string) ([]string, string) {
	values := composio.ParseScopes(s).Values
	for _, v := range values {
		if !scopeToken.MatchString(v) || secret.Masked(v) {
			return nil, fmt.Sprintf("%q is not a scope. Put commas, spaces or lines between scopes, and nothing else.", shorten(v))
		}
	}
	if len(values) > maxScopes {
		return nil, fmt.Sprintf("Use at most %d scopes.", maxScopes)
	}
	return append([]string{}, values...), ""
}

var toolSlug = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

func readTools(s string) ([]string, string) {
	values := composio.ParseScopes(s).Values
	for i, v := range values {
		if !toolSlug.MatchString(v) {
			return nil, fmt.Sprintf("%q is not a tool. Tools look like GITHUB_CREATE_AN_ISSUE, with commas, spaces or lines between.", shorten(v))
		}
		values[i] = strings.ToUpper(v)
	}
	if len(values) > maxTools {
		return nil, fmt.Sprintf("Use at most %d tools.", maxTools)
	}
	return append([]string{}, values...), ""
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

func hasInvisible(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, invisible)
}

func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}
