package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// An envelope is the form an error takes on the wire. The API has several.
type envelope int

const (
	standard   envelope = iota // {"error":{message, code, slug, status, …}}
	validation                 // {"error":{message, error_code, suggested_fix, errors}}: no code, slug or status
	bare                       // {"message":…}, for 429
	retired                    // {"error":{code: string, message, suggestedFix}}, of the legacy connect
)

// A failure is the API's refusal of a request. Numbers and slugs marked EMU
// are ours: the real ones are unknown.
type failure struct {
	status, code       int
	slug, message, fix string
	errors             []string
	form               envelope
	retryAfter         int // seconds, with 429
}

func failf(status, code int, slug, format string, args ...any) *failure {
	return &failure{status: status, code: code, slug: slug, message: fmt.Sprintf(format, args...), fix: "Check your input."}
}

// invalid is the refusal of a request whose shape is wrong (code 10400).
func invalid(complaints ...string) *failure {
	return &failure{
		status: http.StatusBadRequest, code: 10400, form: validation,
		message: "Validation error while processing request",
		fix:     "Please check the payload.",
		errors:  complaints,
	}
}

// unexpected is a refusal that carries nothing but its status (code EMU).
func unexpected(status int) *failure {
	text := http.StatusText(status)
	if text == "" {
		text = "Unknown status"
	}
	fix := "Check the address, the method and the size of the request."
	if status >= 500 {
		fix = "Try again later."
	}
	return &failure{status: status, code: status, slug: fmt.Sprintf("HTTP_%d", status), message: text, fix: fix}
}

func noAuthConfig(status int) *failure {
	return failf(status, 302, "Auth_Config_NotFound", "Auth config not found") // the number is EMU
}

func noConnection(id string) *failure {
	return failf(http.StatusNotFound, 606, "ConnectedAccount_ResourceNotFound", "Connected account %q not found", id)
}

func noToolkit(slug string) *failure {
	return failf(http.StatusNotFound, 2301, "Toolkit_ToolkitNotFound", "Toolkit %q not found", slug) // number and slug are EMU
}

func noTool(slug string) *failure {
	return failf(http.StatusNotFound, 2401, "Tool_ToolNotFound", "Tool %s not found", slug)
}

func notPermitted(q *request) *failure {
	return failf(http.StatusForbidden, 812, "APIKey_InsufficientPermissions",
		"This API key does not have the permissions required for %s %s", q.method, q.resource)
}

// missingField is what create answers when a required credential is absent,
// and when Composio's own app for the toolkit was withdrawn.
func missingField(f field, mode, toolkit string) *failure {
	return failf(http.StatusBadRequest, 301, "Auth_Config_ValidationError",
		"Missing required field %q for auth scheme %q in toolkit %q (%s)", f.Label, mode, toolkit, f.About)
}

func badConfig(format string, args ...any) *failure {
	return failf(http.StatusBadRequest, 301, "Auth_Config_ValidationError", format, args...)
}

func disabledConfig() *failure {
	return failf(http.StatusBadRequest, 304, "Auth_Config_Disabled", "Auth config is disabled") // number and slug are EMU
}

func needsNoAuth(toolkit string) *failure {
	return failf(http.StatusBadRequest, 303, "Auth_Config_NoAuthApp",
		"Cannot create an auth config for toolkit %q because it does not require authentication. You can use its tools directly without creating a connected account.", toolkit)
}

func noManagedApp(toolkit string) *failure {
	return failf(http.StatusBadRequest, 306, "Auth_Config_DefaultAuthConfigNotFound",
		"Default auth config not found for toolkit %q. Composio does not have managed credentials for this toolkit.", toolkit)
}

func legacyConnect(mode string) *failure {
	return &failure{
		status: http.StatusBadRequest, form: retired,
		message: fmt.Sprintf("Creating %s connections of Composio-managed auth configs here is no longer supported.", mode),
		fix:     "Use POST /api/v3.1/connected_accounts/link.",
	}
}

func tooManyRequests(limit, retryAfter int) *failure {
	return &failure{
		status: http.StatusTooManyRequests, form: bare, retryAfter: retryAfter,
		message: fmt.Sprintf("Rate limit exceeded. Limit: %d requests per 1 minutes", limit),
	}
}

// body writes the failure in its form.
func (f *failure) body(requestID string) []byte {
	detail := map[string]any{"message": f.message, "request_id": requestID}
	if f.fix != "" {
		detail["suggested_fix"] = f.fix
	}
	if len(f.errors) > 0 {
		detail["errors"] = f.errors
	}
	var out any = map[string]any{"error": detail}
	switch f.form {
	case standard:
		detail["code"], detail["slug"], detail["status"] = f.code, f.slug, f.status
	case validation:
		detail["error_code"] = f.code
	case bare:
		out = map[string]string{"message": f.message}
	case retired:
		out = map[string]any{"error": map[string]string{"code": "BadRequest", "message": f.message, "suggestedFix": f.fix}}
	}
	return mustJSON(out)
}

// legacy turns a refusal into the validation form, as the legacy-envelope quirk
// asks for. 429 has no envelope in any version.
func (f *failure) legacy() *failure {
	if f.status < 400 || f.status > 499 || f.form == bare {
		return f
	}
	complaints := f.errors
	if len(complaints) == 0 {
		complaints = []string{f.message}
	}
	out := invalid(complaints...)
	out.status = f.status
	return out
}

// mustJSON encodes values of ours, which always can be.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sandbox: encode answer: " + err.Error())
	}
	return b
}
