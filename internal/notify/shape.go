package notify

import (
	"strings"
	"time"
)

// shape is a message as a kind of channel takes it.
func shape(kind string, m Message) any {
	switch kind {
	case Slack:
		return slackShape(m)
	case Teams:
		return teamsShape(m)
	}
	return webhookShape(m)
}

// A slackMessage has its markup switched off. What would still be a link or a
// mention is escaped, as Slack asks for.
type slackMessage struct {
	Text        string `json:"text"`
	Markdown    bool   `json:"mrkdwn"`
	UnfurlLinks bool   `json:"unfurl_links"`
	UnfurlMedia bool   `json:"unfurl_media"`
}

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func slackShape(m Message) any {
	return slackMessage{Text: slackEscape.Replace(m.Text) + "\n" + slackEscape.Replace(m.Link)}
}

// A teamsMessage carries an adaptive card. Its text stands in text runs, where
// Teams knows no markup and no mentions.
type teamsMessage struct {
	Type        string            `json:"type"`
	Attachments []teamsAttachment `json:"attachments"`
}

type teamsAttachment struct {
	ContentType string    `json:"contentType"`
	Content     teamsCard `json:"content"`
}

type teamsCard struct {
	Schema  string        `json:"$schema"`
	Type    string        `json:"type"`
	Version string        `json:"version"`
	Body    []teamsBlock  `json:"body"`
	Actions []teamsAction `json:"actions"`
}

type teamsBlock struct {
	Type    string     `json:"type"`
	Inlines []teamsRun `json:"inlines"`
}

type teamsRun struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type teamsAction struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func teamsShape(m Message) any {
	return teamsMessage{Type: "message", Attachments: []teamsAttachment{{
		ContentType: "application/vnd.microsoft.card.adaptive",
		Content: teamsCard{
			Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.4",
			Body:    []teamsBlock{{Type: "RichTextBlock", Inlines: []teamsRun{{Type: "TextRun", Text: m.Text}}}},
			Actions: []teamsAction{{Type: "Action.OpenUrl", Title: "Open in Gatehouse", URL: m.Link}},
		},
	}}}
}

// A webhookMessage is what programs get.
type webhookMessage struct {
	Event   string          `json:"event"`
	Seq     int64           `json:"seq,omitempty"`
	At      string          `json:"at"`
	Text    string          `json:"text"`
	URL     string          `json:"url"`
	By      string          `json:"by,omitempty"`
	Request *webhookRequest `json:"request,omitempty"`
	Project *webhookProject `json:"project,omitempty"`
}

type webhookRequest struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	State string `json:"state"`
}

type webhookProject struct {
	Name        string `json:"name"`
	Environment string `json:"environment"`
}

func webhookShape(m Message) any {
	w := webhookMessage{Event: m.Action, Seq: m.Seq, At: m.At.UTC().Format(time.RFC3339), Text: m.Text, URL: m.Link, By: m.Who}
	if m.Request != "" {
		w.Request = &webhookRequest{m.Request, m.Title, m.State}
	}
	if m.Project != "" {
		w.Project = &webhookProject{m.Project, m.Environment}
	}
	return w
}
