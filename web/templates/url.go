// Package templates is what pages look like. Components print finished text;
// what a reader may not do has no URL.
package templates

import (
	"net/url"
	"strings"

	"github.com/a-h/templ"
)

// A URL is a path on this server. Only this type reaches attributes that htmx
// acts on, since templ checks href and action alone.
type URL string

// Local returns a path on this server as a URL. Anything else becomes "/".
func Local(path string) URL {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\n\r\t") {
		return "/"
	}
	return URL(path)
}

// Safe is the URL for href and action.
func (u URL) Safe() templ.SafeURL { return templ.SafeURL(u) }

// External returns a link that leaves this server, or "" unless it is https.
func External(raw string) templ.SafeURL {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return templ.SafeURL(u.String())
}
