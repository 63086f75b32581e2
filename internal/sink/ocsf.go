package sink

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"gatehouse/internal/audit"
)

// ocsfVersion is that of the schema which events follow.
const ocsfVersion = "1.3.0"

// Classes of the schema, all of its category Identity & Access Management.
const (
	accountChange    = 3001
	authentication   = 3002
	entityManagement = 3004
	iam              = 3
	otherActivity    = 99
)

// An ocsfEvent is an entry in the words of the schema. What these have no place
// for stands under Unmapped.
type ocsfEvent struct {
	ActivityID   int           `json:"activity_id"`
	ActivityName string        `json:"activity_name,omitempty"`
	CategoryUID  int           `json:"category_uid"`
	ClassUID     int           `json:"class_uid"`
	TypeUID      int           `json:"type_uid"`
	SeverityID   int           `json:"severity_id"`
	StatusID     int           `json:"status_id"`
	StatusDetail string        `json:"status_detail,omitempty"`
	Time         int64         `json:"time"` // milliseconds since 1970
	Message      string        `json:"message,omitempty"`
	Metadata     ocsfMetadata  `json:"metadata"`
	Actor        *ocsfActor    `json:"actor,omitempty"`
	User         *ocsfUser     `json:"user,omitempty"`
	Service      *ocsfNamed    `json:"service,omitempty"`
	Session      *ocsfSession  `json:"session,omitempty"`
	Entity       *ocsfEntity   `json:"entity,omitempty"`
	Comment      string        `json:"comment,omitempty"`
	Source       *ocsfEndpoint `json:"src_endpoint,omitempty"`
	HTTP         *ocsfHTTP     `json:"http_request,omitempty"`
	Unmapped     *ocsfUnmapped `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version     string      `json:"version"`
	Product     ocsfProduct `json:"product"`
	UID         string      `json:"uid,omitempty"`
	Sequence    int64       `json:"sequence,omitempty"`
	EventCode   string      `json:"event_code"`
	Correlation string      `json:"correlation_uid,omitempty"` // the change request
	LogName     string      `json:"log_name"`
}

type ocsfProduct struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor_name"`
	Version string `json:"version,omitempty"`
}

type ocsfActor struct {
	App  string    `json:"app_name,omitempty"`
	User *ocsfUser `json:"user,omitempty"`
}

type ocsfUser struct {
	UID    string `json:"uid,omitempty"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email_addr,omitempty"`
	TypeID int    `json:"type_id"`
}

type ocsfNamed struct {
	Name string `json:"name"`
}

type ocsfSession struct {
	UID string `json:"uid"`
}

type ocsfEntity struct {
	UID  string `json:"uid,omitempty"`
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
}

type ocsfEndpoint struct {
	IP string `json:"ip"`
}

type ocsfHTTP struct {
	Agent string `json:"user_agent"`
}

type ocsfUnmapped struct {
	Changes []audit.Change    `json:"changes,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
	Hash    string            `json:"hash"`
	Outcome string            `json:"outcome"`
	Prev    string            `json:"prev"`
	Project string            `json:"project,omitempty"`
}

// accountActivities are those of Account Change by action.
var accountActivities = map[string]int{
	"user.set_up": 1, "user.added": 1, "user.invited": 1, "user.enabled": 2, "user.passphrase_changed": 3,
	"user.passphrase_reset": 4, "user.reset_link_made": 4, "user.disabled": 5,
}

// sessionActivities are those of Authentication by action.
var sessionActivities = map[string]int{
	"session.signed_in": 1, "session.refused": 1, "session.signed_out": 2, "session.ended": 2, "session.others_ended": 2, "session.all_ended": 2, "session.crowded_out": 2,
}

// entityActivities are those of Entity Management by the verb of an action.
var entityActivities = map[string]int{
	"created": 1, "added": 1, "created_outside": 1, "read": 2, "exported": 2, "updated": 3, "edited": 3, "changed_outside": 3,
	"deleted": 4, "removed": 4, "deleted_outside": 4, "enabled": 8, "disabled": 9,
}

// severities of what is not merely informational.
var severities = map[string]int{
	"change.bypassed": 4, "session.refused": 2, "auth_config.changed_outside": 3, "auth_config.created_outside": 3, "auth_config.deleted_outside": 3,
}

// ocsf is an entry as an event of the schema.
func (s *Service) ocsf(e audit.Entry, r audit.Row) ocsfEvent {
	v := ocsfEvent{CategoryUID: iam, Time: e.Time.UnixMilli(), Message: strings.TrimSpace(e.Action + " " + e.Object.Name), Comment: e.Reason, Metadata: s.ocsfMetadata(e)}
	kind, verb, _ := strings.Cut(e.Action, ".")
	switch kind {
	case "session":
		v.ClassUID, v.ActivityID = authentication, sessionActivities[e.Action]
		v.Service, v.User = &ocsfNamed{"Gatehouse"}, subject(e)
		if e.Object.Kind == "session" && e.Object.ID != "" {
			v.Session = &ocsfSession{e.Object.ID}
		}
	case "user":
		v.ClassUID, v.ActivityID, v.User = accountChange, accountActivities[e.Action], subject(e)
	default:
		v.ClassUID, v.ActivityID = entityManagement, entityActivities[verb]
		v.Entity = &ocsfEntity{UID: e.Object.ID, Name: e.Object.Name, Type: e.Object.Kind}
		if e.Object.ID == "" && e.Object.Name == "" {
			v.Entity.Name = e.Object.Kind
		}
	}
	if v.ActivityID == 0 {
		v.ActivityID, v.ActivityName = otherActivity, e.Action
	}
	v.TypeUID = v.ClassUID*100 + v.ActivityID
	v.StatusID, v.SeverityID = 1, 1
	if e.Outcome != audit.OK {
		v.StatusID, v.SeverityID, v.StatusDetail = 2, 2, e.Outcome
		if e.Outcome == audit.Unknown {
			v.StatusID, v.SeverityID = 0, 3
		}
	}
	v.SeverityID = max(v.SeverityID, severities[e.Action])
	v.origin(e)
	v.Unmapped = &ocsfUnmapped{Changes: e.Changes, Detail: e.Detail, Hash: r.Hash.String(), Outcome: e.Outcome, Prev: r.Prev.String(), Project: e.Project}
	return v
}

// origin says who did it, and from where.
func (v *ocsfEvent) origin(e audit.Entry) {
	switch e.Actor.Kind {
	case audit.ActorUser:
		v.Actor = &ocsfActor{User: actorUser(e.Actor)}
	case audit.ActorSystem:
		v.Actor = &ocsfActor{App: "Gatehouse"}
	case audit.ActorOutside:
		v.Actor = &ocsfActor{App: "Composio"} // whoever it was came by another way
	}
	if e.Actor.IP != "" {
		v.Source = &ocsfEndpoint{e.Actor.IP}
	}
	if e.Actor.Agent != "" {
		v.HTTP = &ocsfHTTP{e.Actor.Agent}
	}
}

func actorUser(a audit.Actor) *ocsfUser {
	return &ocsfUser{UID: a.ID, Name: a.Name, Email: a.Email, TypeID: 1}
}

// subject is whom an entry about a person or a session is about.
func subject(e audit.Entry) *ocsfUser {
	switch {
	case e.Object.Kind == "user" && e.Object.ID != "":
		return &ocsfUser{UID: e.Object.ID, Name: e.Object.Name, TypeID: 1}
	case e.Actor.Kind == audit.ActorUser:
		return actorUser(e.Actor)
	}
	return &ocsfUser{UID: "unknown", Name: e.Object.Name}
}

func (s *Service) ocsfMetadata(e audit.Entry) ocsfMetadata {
	m := ocsfMetadata{
		Version: ocsfVersion, Product: ocsfProduct{"Gatehouse", "Gatehouse", s.settings.Version}, EventCode: e.Action,
		Correlation: e.Request, LogName: "history", Sequence: e.Seq,
	}
	if e.Seq > 0 {
		m.UID = strconv.FormatInt(e.Seq, 10)
	}
	return m
}

// ocsfTest is a test, an event of no class.
func (s *Service) ocsfTest(k Sink) ocsfEvent {
	e := audit.Entry{Time: s.now(), Event: audit.Event{Action: "sink.test"}}
	return ocsfEvent{
		ActivityID: otherActivity, ActivityName: "test", TypeUID: otherActivity, SeverityID: 1, StatusID: 1,
		Time: e.Time.UnixMilli(), Message: "A test for " + k.Name, Metadata: s.ocsfMetadata(e),
	}
}

// encode writes one line of JSON, with texts as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
