package sandbox

// A sketch is one auth config of the small lifelike set. Connections are given
// as counts and letters: Active, Expired, Failed, Inactive, Revoked, initiated
// (W for waiting), shared and active (S). A star at the end of the name disables
// the config.
type sketch struct {
	name, toolkit, scheme string // an empty scheme is Composio's own app
	connections           string
}

var productionSet = []sketch{
	{"github-prod", "github", "OAUTH2", "41A 3E 1F 2S 1W"},
	{"github-read-only", "github", "", "12A 1E"},
	{"slack-support", "slack", "OAUTH2", "18A 2E 1R"},
	{"slack-alerts", "slack", "", "3S"},
	{"gmail-support-inbox", "gmail", "OAUTH2", "9A 1E 1F"},
	{"gmail-managed", "gmail", "", "27A 4E 2W"},
	{"sheets-finance", "googlesheets", "OAUTH2", "6A 1S"},
	{"calendar-scheduling", "googlecalendar", "", "22A 2E"},
	{"drive-contracts", "googledrive", "OAUTH2", "4A 1I"},
	{"notion-handbook", "notion", "", "15A"},
	{"linear-product", "linear", "OAUTH2", "11A 1F"},
	{"hubspot-sales", "hubspot", "OAUTH2", "8A 2E 1S"},
	{"salesforce-emea", "salesforce", "OAUTH2", "5A 1E"},
	{"salesforce-batch", "salesforce", "S2S_OAUTH2", "1S"},
	{"jira-engineering", "jira", "", "19A 1E 1F"},
	{"zendesk-helpdesk", "zendesk", "OAUTH2", "7A"},
	{"stripe-payouts", "stripe", "API_KEY", "2A"},
	{"trello-old-boards*", "trello", "", "3I"},
	{"openai-assistants", "openai", "API_KEY", "3A 1S"},
	{"bigquery-reports", "googlebigquery", "GOOGLE_SERVICE_ACCOUNT", "2A"},
	{"servicenow-desk", "servicenow", "BASIC", "4A"},
	{"discord-community*", "discord", "OAUTH2", "2E 2I"},
	{"quickbooks-books", "quickbooks", "", "1A 1W"},
	{"mcp-partner", "synthetic_dcr_mcp", "", "2A"},
}

var stagingSet = []sketch{
	{"github-staging", "github", "OAUTH2", "4A 1E"},
	{"slack-staging", "slack", "OAUTH2", "3A"},
	{"gmail-staging", "gmail", "", "2A 1F"},
	{"sheets-staging", "googlesheets", "", "1A"},
	{"notion-sandbox", "notion", "API_KEY", "1A"},
	{"linear-staging", "linear", "", "2A 1W"},
	{"hubspot-developer-portal", "hubspot", "OAUTH2", "1A"},
	{"jira-trial*", "jira", "API_KEY", ""},
	{"stripe-test-mode", "stripe", "API_KEY", "1A"},
	{"zoominfo-trial", "zoominfo", "BASIC_WITH_JWT", "1A"},
	{"cal-demo", "cal", "CALCOM_AUTH", "1A"},
	{"bill-demo", "bill", "BILLCOM_AUTH", ""},
	{"saml-rehearsal*", "synthetic_saml", "SAML", ""},
	{"calendar-demo", "googlecalendar", "BEARER_TOKEN", "1A"},
}

var (
	people = []string{
		"amara.okafor", "ben.castillo", "chiara.rossi", "dmitri.volkov", "elif.demir", "farid.haddad", "grace.muller", "hana.suzuki",
		"ivan.petrov", "joana.silva", "kofi.mensah", "lena.novak", "mateo.garcia", "nadia.rahman", "oscar.lind", "priya.nair",
	}
	adjectives = []string{
		"amber", "brisk", "calm", "dapper", "eager", "fond", "gentle", "humble",
		"ivory", "jolly", "keen", "lucid", "mellow", "nimble", "open", "proud",
	}
	animals = []string{
		"badger", "crane", "dingo", "egret", "finch", "gecko", "heron", "ibis",
		"jackal", "koala", "lynx", "marten", "newt", "otter", "puffin", "quail",
	}
)

// wordFor names a thing by two hexadecimal digits.
func wordFor(hex string) string {
	at := func(c byte) int {
		if c >= 'a' {
			return int(c-'a') + 10
		}
		return int(c - '0')
	}
	return adjectives[at(hex[0])] + "-" + animals[at(hex[1])]
}
