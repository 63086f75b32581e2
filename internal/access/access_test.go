package access_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/change"
	"gatehouse/internal/composio/sandbox"
	"gatehouse/internal/problem"
	"gatehouse/internal/rig"
	"gatehouse/internal/secret"
	"gatehouse/internal/store"
)

// house is a rig whose access service has a clock of its own.
type house struct {
	*rig.Rig
	access *access.Service
	now    time.Time
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{Rig: rig.Bare(t, sandbox.Options{}), now: rig.Now()}
	h.access = access.NewService(h.Store, h.Keys, func() time.Time { return h.now })
	return h
}

var from = access.Origin{IP: "192.0.2.7", Agent: "test"}

func (h *house) signIn(email, passphrase string) (string, error) {
	token, _, err := h.access.SignIn(h.T.Context(), email, secret.New(passphrase), from)
	return token, err
}

func TestSignIn(t *testing.T) {
	h := newHouse(t)
	u := h.Person("Ada", access.Admin)
	token, err := h.signIn(" ADA@example.com ", rig.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	session, who, err := h.Store.Session(t.Context(), access.HashToken(token))
	if err != nil || who.ID != u.ID || session.Origin != from {
		t.Errorf("%+v %+v %v", session, who, err)
	}
	disabled := h.Person("Dora", access.Editor)
	if err := h.access.SetDisabled(t.Context(), access.Operator(), disabled.ID, true); err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{}
	for _, try := range [][2]string{{"ada@example.com", "wrong"}, {"nobody@example.com", rig.Passphrase}, {"dora@example.com", rig.Passphrase}, {"", ""}, {"not an address", "x"}} {
		_, err := h.signIn(try[0], try[1])
		if !problem.Is(err, problem.Invalid) {
			t.Errorf("%v: %v", try, err)
			continue
		}
		answers[err.Error()] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
	if n := len(h.History(store.HistoryQuery{Action: "session.refused"})); n != 5 {
		t.Errorf("%d refusals in history, want 5", n)
	}
}

func TestGuessing(t *testing.T) {
	h := newHouse(t)
	h.Person("Ada", access.Admin)
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		for i := range 5 {
			if _, err := h.signIn(email, "wrong"); !problem.Is(err, problem.Invalid) {
				t.Fatalf("%s guess %d: %v", email, i, err)
			}
		}
		_, err := h.signIn(email, rig.Passphrase)
		if p := problem.Of(err); p == nil || p.Kind != problem.TooMany || p.RetryAfter <= 0 {
			t.Errorf("%s: the sixth guess: %v", email, err)
		}
	}
	h.now = h.now.Add(3 * time.Second)
	if _, err := h.signIn("ada@example.com", rig.Passphrase); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	if _, err := h.signIn("ada@example.com", "wrong"); !problem.Is(err, problem.Invalid) {
		t.Errorf("a success starts the count anew: %v", err)
	}
}

// The count survives a restart, and a locked account needs a link.
func TestLock(t *testing.T) {
	h := newHouse(t)
	u := h.Person("Ada", access.Admin)
	for i := range 100 {
		h.now = h.now.Add(16 * time.Minute)
		if _, err := h.signIn("ada@example.com", "wrong"); !problem.Is(err, problem.Invalid) {
			t.Fatalf("guess %d: %v", i, err)
		}
		if i == 50 {
			h.Restart()
			h.access = access.NewService(h.Store, h.Keys, func() time.Time { return h.now })
		}
	}
	h.now = h.now.Add(24 * time.Hour)
	if _, err := h.signIn("ada@example.com", rig.Passphrase); !problem.Is(err, problem.TooMany) {
		t.Errorf("not locked: %v", err)
	}
	token, err := h.access.ResetPassphrase(t.Context(), access.Operator(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.access.UseLink(t.Context(), token, secret.New("another five quiet badgers"), from); err != nil {
		t.Fatal(err)
	}
	if _, err := h.signIn("ada@example.com", "another five quiet badgers"); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

// Many guesses at once count one by one.
func TestParallelGuesses(t *testing.T) {
	h := newHouse(t)
	h.Person("Ada", access.Admin)
	var mu sync.Mutex
	tried := 0
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			_, err := h.signIn("ada@example.com", "wrong")
			mu.Lock()
			defer mu.Unlock()
			if problem.Is(err, problem.Invalid) {
				tried++
			} else if !problem.Is(err, problem.TooMany) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tried != 5 {
		t.Errorf("%d passphrases were tried, want 5", tried)
	}
}

func TestPassphraseRules(t *testing.T) {
	h := newHouse(t)
	for _, weak := range []string{
		"", "short", "14 characters!", "aaaaaaaaaaaaaaaaaaaa", "passwordpassword", "qwertyuiopasdfgh", "123456789012345678", "adaadaadaadaada",
		"ada@example.comada", "gatehousegatehouse", "\xff\xfe not valid utf8 at all", strings.Repeat("long words ", 100),
	} {
		_, err := h.access.AddUser(t.Context(), access.Person{Email: "ada@example.com", Name: "Ada", Roles: []access.Role{access.Viewer}}, secret.New(weak))
		if p := problem.Of(err); p == nil || p.Fields["passphrase"] == "" {
			t.Errorf("%.30q: %v", weak, err)
		}
	}
	// Any character counts, spaces and other scripts too, and nothing is cut off.
	good := "пять тихих выдр " + strings.Repeat("ж", 80) + "!"
	if _, err := h.access.AddUser(t.Context(), access.Person{Email: "ada@example.com", Name: "Ada", Roles: []access.Role{access.Viewer}}, secret.New(good)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.signIn("ada@example.com", good); err != nil {
		t.Error(err)
	}
	if _, err := h.signIn("ada@example.com", strings.TrimSuffix(good, "!")); err == nil {
		t.Error("the end of the passphrase doesn't count")
	}
	a, err := h.Store.AccountByEmail(t.Context(), "ada@example.com")
	if err != nil || !strings.HasPrefix(a.Passphrase, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored as %.40s, %v", a.Passphrase, err)
	}
}

func TestBadPeople(t *testing.T) {
	h := newHouse(t)
	admin := h.Person("Ada", access.Admin)
	for field, p := range map[string]access.Person{
		"email": {Email: "no address", Name: "N", Roles: []access.Role{access.Viewer}},
		"name":  {Email: "n@example.com", Name: " \u202e ", Roles: []access.Role{access.Viewer}},
		"roles": {Email: "n@example.com", Name: "N", Roles: []access.Role{"root"}},
	} {
		_, _, err := h.access.Invite(t.Context(), admin, p)
		if pr := problem.Of(err); pr == nil || pr.Fields[field] == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, _, err := h.access.Invite(t.Context(), admin, access.Person{Email: "ADA@example.com", Name: "Ada", Roles: []access.Role{access.Viewer}}); problem.Of(err) == nil || problem.Of(err).Fields["email"] == "" {
		t.Errorf("a taken address: %v", err)
	}
	editor := h.Person("Emil", access.Editor)
	if _, _, err := h.access.Invite(t.Context(), editor, access.Person{}); !problem.Is(err, problem.Forbidden) {
		t.Errorf("an editor invited: %v", err)
	}
	if err := h.access.SetDisabled(t.Context(), admin, admin.ID, true); !problem.Is(err, problem.Conflict) {
		t.Errorf("an admin disabled themselves: %v", err)
	}
}

func TestInvitation(t *testing.T) {
	h := newHouse(t)
	admin := h.Person("Ada", access.Admin)
	u, first, err := h.access.Invite(t.Context(), admin, access.Person{Email: "new@example.com", Name: "New", Roles: []access.Role{access.Editor, access.Editor}})
	if err != nil || len(u.Grants) != 1 {
		t.Fatal(u, err)
	}
	second, err := h.access.ResetPassphrase(t.Context(), admin, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	use := func(token string) error {
		_, err := h.access.UseLink(t.Context(), token, secret.New("four hidden copper kettles"), from)
		return err
	}
	if !problem.Is(use(first), problem.NotFound) || !problem.Is(use("nonsense"), problem.NotFound) {
		t.Error("a link that was replaced, or never was, works")
	}
	if _, err := h.access.UseLink(t.Context(), second, secret.New("weak"), from); !problem.Is(err, problem.Invalid) {
		t.Errorf("a weak passphrase: %v", err)
	}
	if err := use(second); err != nil {
		t.Fatal(err)
	}
	if !problem.Is(use(second), problem.NotFound) {
		t.Error("a link works twice")
	}
	late, err := h.access.ResetPassphrase(t.Context(), admin, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(25 * time.Hour)
	if !problem.Is(use(late), problem.NotFound) {
		t.Error("an old link works")
	}
}

// A link ends with what it was made for, and with the right of who made it.
func TestLinksEnd(t *testing.T) {
	h := newHouse(t)
	ada, bert, vera := h.Person("Ada", access.Admin), h.Person("Bert", access.Admin), h.Person("Vera", access.Viewer)
	reset := func(by access.Reader, id string) string {
		token, err := h.access.ResetPassphrase(t.Context(), by, id)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	dead := func(why, token string) {
		if _, err := h.access.UseLink(t.Context(), token, secret.New("four hidden copper kettles"), from); !problem.Is(err, problem.NotFound) {
			t.Errorf("%s: %v", why, err)
		}
	}
	token := reset(ada, vera.ID)
	if err := h.access.ChangePassphrase(t.Context(), vera, secret.New(rig.Passphrase), secret.New("nine patient herons wait here")); err != nil {
		t.Fatal(err)
	}
	dead("the passphrase was changed since", token)
	token = reset(bert, ada.ID)
	r, err := h.Changes.ProposeRoles(t.Context(), ada, "", bert.User, access.Unscoped(access.Viewer))
	if err != nil {
		t.Fatal(err)
	}
	if r = h.Settled(r.ID); r.State != change.Applied {
		t.Fatalf("the roles are %s", r.State)
	}
	dead("who made it is no admin any more", token)
	if _, err := h.access.ResetPassphrase(t.Context(), vera, ada.ID); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a viewer made a link: %v", err)
	}
	if err := h.access.SetDisabled(t.Context(), vera, ada.ID, true); !problem.Is(err, problem.Forbidden) {
		t.Errorf("a viewer disabled somebody: %v", err)
	}
}

// Right passphrases are no guesses.
func TestRightPassphraseIsNoGuess(t *testing.T) {
	h := newHouse(t)
	vera := h.Person("Vera", access.Viewer)
	for range 8 {
		if err := h.access.ChangePassphrase(t.Context(), vera, secret.New(rig.Passphrase), secret.New("weak")); !problem.Is(err, problem.Invalid) {
			t.Fatal(err)
		}
	}
	if _, _, err := h.access.SignIn(t.Context(), "vera@example.com", secret.New(rig.Passphrase), from); err != nil {
		t.Error(err)
	}
	if _, _, err := h.access.SignIn(t.Context(), strings.Repeat("v", 300)+"@example.com", secret.New("x"), from); !problem.Is(err, problem.Invalid) {
		t.Error(err)
	}
}

func TestSetUp(t *testing.T) {
	h := newHouse(t)
	token, err := h.access.NewSetupLink(t.Context())
	if err != nil || token == "" {
		t.Fatal(token, err)
	}
	person := access.Person{Email: "first@example.com", Name: "First"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 50 {
		wg.Go(func() {
			p := person
			p.Email = fmt.Sprintf("first%d@example.com", i)
			if _, err := h.access.SetUp(t.Context(), token, p, secret.New(rig.Passphrase), from); err == nil {
				mu.Lock()
				made++
				mu.Unlock()
			} else if !problem.Is(err, problem.NotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	users, err := h.Store.Users(t.Context())
	if err != nil || made != 1 || len(users) != 1 || !users[0].Has(access.Admin) || !users[0].Has(access.Editor) {
		t.Errorf("%d set-ups, users %+v, %v", made, users, err)
	}
	if token, err := h.access.NewSetupLink(t.Context()); token != "" || err != nil {
		t.Error("there is another set-up link", err)
	}
}

func TestSessions(t *testing.T) {
	h := newHouse(t)
	u := h.Person("Ada", access.Admin)
	var tokens []string
	for range 3 {
		token, err := h.signIn("ada@example.com", rig.Passphrase)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	mine, _, err := h.Store.Session(t.Context(), access.HashToken(tokens[0]))
	if err != nil {
		t.Fatal(err)
	}
	r := access.Reader{User: u.User, Session: mine.ID}
	if err := h.access.ChangePassphrase(t.Context(), r, secret.New("wrong"), secret.New("six loud geese above the lake")); problem.Of(err) == nil || problem.Of(err).Fields["current"] == "" {
		t.Errorf("with a wrong passphrase: %v", err)
	}
	if err := h.access.ChangePassphrase(t.Context(), r, secret.New(rig.Passphrase), secret.New("six loud geese above the lake")); err != nil {
		t.Fatal(err)
	}
	left, err := h.access.Sessions(t.Context(), r)
	if err != nil || len(left) != 1 || left[0].ID != mine.ID {
		t.Errorf("sessions after the change: %+v %v", left, err)
	}
	if !mine.Expired(mine.CreatedAt.Add(access.SessionIdle)) || mine.Expired(mine.CreatedAt.Add(access.SessionIdle-time.Second)) {
		t.Error("idle time")
	}
	mine.LastSeen = mine.CreatedAt.Add(access.SessionLife)
	if !mine.Expired(mine.CreatedAt.Add(access.SessionLife)) {
		t.Error("absolute time")
	}
	if err := h.access.SignOut(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := h.access.EndSession(t.Context(), r, mine.ID); !problem.Is(err, problem.NotFound) {
		t.Errorf("ended twice: %v", err)
	}
}

// Every role has a row, and nobody approves by being admin.
func TestPermissions(t *testing.T) {
	for _, r := range access.Roles() {
		if len(r.Permissions()) == 0 {
			t.Errorf("%s may do nothing", r)
		}
	}
	admin := access.User{State: access.Active, Grants: access.Unscoped(access.Admin)}
	if admin.May(access.ApproveChange) || admin.May(access.ProposeChange) {
		t.Error("an admin edits or approves by implication")
	}
	for _, state := range []string{access.Disabled, access.Invited, ""} {
		if (access.User{State: state, Grants: access.Unscoped(access.Roles()...)}).May(access.ViewConfigs) {
			t.Errorf("a %q user may see something", state)
		}
	}
}

// Any page can send browsers here as if they came back from a provider. That keeps
// nobody out who has a passphrase.
func TestArrivalsAreNoGuesses(t *testing.T) {
	h := newHouse(t)
	h.Person("Ada", access.Admin)
	var err error
	for range 60 {
		err = h.access.RefuseArrival(t.Context(), "corp", "state", from)
	}
	if !problem.Is(err, problem.TooMany) {
		t.Errorf("as many arrivals in vain as anybody likes: %v", err)
	}
	if _, err := h.signIn("ada@example.com", rig.Passphrase); err != nil {
		t.Errorf("arrivals in vain keep people out: %v", err)
	}
}
