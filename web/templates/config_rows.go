package templates

import (
	"context"
	"io"
	"sync"

	"github.com/a-h/templ"
)

var rowBuffers = sync.Pool{New: func() any { return new([]byte) }}

// ConfigRows writes the rows of the list. It is the one component written by
// hand: there are fifty rows with ten texts each, and generated code takes three
// times as long and two allocations for each text. End tags and quotes that
// HTML doesn't need are left out.
func ConfigRows(rows []ConfigRowView, pick bool) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		buffer := rowBuffers.Get().(*[]byte)
		defer rowBuffers.Put(buffer)
		m := markup((*buffer)[:0])
		for i := range rows {
			m = m.row(&rows[i], pick)
		}
		*buffer = m
		_, err := w.Write(m)
		return err
	})
}

// markup grows by what is ours and by texts, which are escaped.
type markup []byte

func (m markup) raw(ours string) markup { return append(m, ours...) }

// text adds what comes from elsewhere, as text or as the value of an attribute in
// double quotes.
func (m markup) text(s string) markup { return append(m, templ.EscapeString(s)...) }

func (m markup) row(r *ConfigRowView, pick bool) markup {
	m = m.raw(`<tr data-id="`).text(r.ID).raw(`">`)
	if pick {
		m = m.raw(`<td><input type=checkbox name=id value="`).text(r.ID).raw(`" aria-label="Select `).text(r.Name).raw(`">`)
	}
	m = m.raw(`<td class="config-name"><i data-hue="`).text(r.Avatar.Hue).raw(`" aria-hidden="true">`).text(r.Avatar.Letter).raw(`</i>`)
	m = m.raw(`<a href="`).text(string(r.URL)).raw(`">`).text(r.Name).raw(`</a> `).badge(r.Badge).raw(`<small>`).text(r.ID).raw(`</small>`)
	m = m.raw(`<td>`).text(r.Toolkit).raw(`<td><code>`).text(r.Scheme).raw(`</code><td>`).text(r.Owner)
	m = m.raw(`<td class="num">`).text(r.Connections).raw(`<td>`).time(r.Changed)
	if r.ChangedBy != "" {
		m = m.raw(`<br><small>`).text(r.ChangedBy).raw(`</small>`)
	}
	m = m.raw(`<td>`).badge(r.Status)
	if r.Switch != "" {
		m = m.raw(`<td><a class="btn" href="`).text(string(r.Switch)).raw(`" aria-label="`).text(r.SwitchText).raw(` `).text(r.Name).raw(`">`).text(r.SwitchText).raw(`</a>`)
	}
	return m
}

// badge is [Badge].
func (m markup) badge(v BadgeView) markup {
	if v.Text == "" {
		return m
	}
	m = m.raw(`<span class="badge"`)
	if v.Tone != "" {
		m = m.raw(` data-tone="`).text(v.Tone).raw(`"`)
	}
	return m.raw(`>`).text(v.Text).raw(`</span>`)
}

// time is [Time].
func (m markup) time(v TimeView) markup {
	if v.ISO == "" {
		return m.text(v.Text)
	}
	m = m.raw(`<time datetime="`).text(v.ISO).raw(`" title="`).text(v.Full).raw(`"`)
	if v.Live {
		m = m.raw(` data-ago`)
	}
	return m.raw(`>`).text(v.Text).raw(`</time>`)
}
