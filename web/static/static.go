// Package static holds the built front end: styles, scripts, font and icons.
package static

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// Prefix is where the files are served.
const Prefix = "/static/"

// A File is one file with its compressed forms, nil where there are none.
type File struct {
	Type   string
	Bytes  []byte
	Gzip   []byte
	Brotli []byte
}

var (
	byURL = map[string]File{}
	urls  = map[string]string{}
)

func init() {
	entries, err := fs.ReadDir(dist, "dist")
	if err != nil {
		panic(err) // the folder is embedded
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".br") {
			continue
		}
		f := File{Type: contentType(name), Bytes: read(name), Gzip: read(name + ".gz"), Brotli: read(name + ".br")}
		sum := sha256.Sum256(f.Bytes)
		ext := path.Ext(name)
		url := Prefix + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		urls[name], byURL[url] = url, f
	}
	// The style sheet names the font relative to itself, without the hash.
	if font, ok := urls["inter-latin.woff2"]; ok {
		byURL[Prefix+"inter-latin.woff2"] = byURL[font]
	}
}

func read(name string) []byte {
	b, err := dist.ReadFile("dist/" + name)
	if err != nil {
		return nil // not every file has compressed forms
	}
	return b
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".woff2":
		return "font/woff2"
	case ".js":
		return "text/javascript; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// URL is the address of a file. It holds a hash of the content, so that browsers
// may keep it for ever.
func URL(name string) string { return urls[name] }

// Get returns the file at an address, and whether the address holds its hash.
func Get(url string) (f File, hashed, ok bool) {
	f, ok = byURL[url]
	return f, ok && url != Prefix+"inter-latin.woff2", ok
}

// Missing says what to do when the front end was not built, or "".
func Missing() string {
	for _, name := range []string{"app.css", "app.js", "icons.svg", "inter-latin.woff2"} {
		if urls[name] == "" {
			return "web/static/dist lacks " + name + ": run 'make assets' and build again"
		}
	}
	return ""
}
