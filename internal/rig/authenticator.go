package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// An Authenticator holds passkeys, as a phone or a security key does.
type Authenticator struct {
	T        testing.TB
	Origin   string // of the page that it believes to be on
	RPID     string // for which it answers; by default what the page asks for
	Verifies bool   // knows its owner
	Counts   bool   // raises its counter with each use

	keys []passkey
}

type passkey struct {
	id, user []byte
	key      *ecdsa.PrivateKey
	rp       string
	count    uint32
}

var b64 = base64.RawURLEncoding

// Copy is another authenticator with the same passkeys, as a thief would have it.
func (a *Authenticator) Copy() *Authenticator {
	twin := *a
	twin.keys = slices.Clone(a.keys)
	return &twin
}

type creation struct {
	Challenge string              `json:"challenge"`
	RP        struct{ ID string } `json:"rp"`
	User      struct{ ID string } `json:"user"`
}

// Create makes a passkey, by the options of a page, and returns what a browser
// would send.
func (a *Authenticator) Create(options string) string {
	a.T.Helper()
	var o creation
	a.must(json.Unmarshal([]byte(options), &o))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.must(err)
	user, err := b64.DecodeString(o.User.ID)
	a.must(err)
	one := passkey{id: make([]byte, 32), user: user, key: key, rp: o.RP.ID}
	_, _ = rand.Read(one.id) // never fails (crypto/rand)
	a.keys = append(a.keys, one)

	data := a.data(one, 0x40)
	data = append(data, make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(one.id))) //nolint:gosec // 32
	data = append(append(data, one.id...), cose(a.T, key)...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), byte(len(data)>>8), byte(len(data))) //nolint:gosec // two bytes of it
	return a.answer(one, map[string]any{
		"clientDataJSON": a.client("webauthn.create", o.Challenge), "attestationObject": b64.EncodeToString(append(object, data...)), "transports": []string{"internal"},
	})
}

// cose is a public key as authenticators write it.
func cose(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), public[1:33]...)
	return append(append(out, "\x22\x58\x20"...), public[33:]...)
}

// data is what an authenticator signs about itself.
func (a *Authenticator) data(one passkey, flags byte) []byte {
	rp := a.RPID
	if rp == "" {
		rp = one.rp
	}
	sum := sha256.Sum256([]byte(rp))
	flags |= 0x01
	if a.Verifies {
		flags |= 0x04
	}
	return binary.BigEndian.AppendUint32(append(sum[:], flags), one.count)
}

func (a *Authenticator) client(kind, challenge string) string {
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	a.must(err)
	return b64.EncodeToString(text)
}

type request struct {
	Challenge        string                `json:"challenge"`
	AllowCredentials []struct{ ID string } `json:"allowCredentials"`
}

// Get answers a challenge with a passkey that is allowed, and returns what a
// browser would send.
func (a *Authenticator) Get(options string) string {
	a.T.Helper()
	var o request
	a.must(json.Unmarshal([]byte(options), &o))
	i := slices.IndexFunc(a.keys, func(k passkey) bool {
		return len(o.AllowCredentials) == 0 || slices.ContainsFunc(o.AllowCredentials, func(c struct{ ID string }) bool { return c.ID == b64.EncodeToString(k.id) })
	})
	if i < 0 {
		a.T.Fatal("the authenticator has no passkey that is allowed")
	}
	if a.Counts {
		a.keys[i].count++
	}
	one := a.keys[i]
	client := a.client("webauthn.get", o.Challenge)
	raw, err := b64.DecodeString(client)
	a.must(err)
	data, sum := a.data(one, 0), sha256.Sum256(raw)
	signed := sha256.Sum256(append(slices.Clone(data), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, one.key, signed[:])
	a.must(err)
	return a.answer(one, map[string]any{
		"clientDataJSON": client, "authenticatorData": b64.EncodeToString(data), "signature": b64.EncodeToString(signature), "userHandle": b64.EncodeToString(one.user),
	})
}

func (a *Authenticator) answer(one passkey, response map[string]any) string {
	id := b64.EncodeToString(one.id)
	text, err := json.Marshal(map[string]any{
		"id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}, "authenticatorAttachment": "platform",
	})
	a.must(err)
	return string(text)
}

func (a *Authenticator) must(err error) {
	a.T.Helper()
	if err != nil {
		a.T.Fatal(err)
	}
}

// Code is what an authenticator app with this secret shows at a time.
func Code(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(strings.ReplaceAll(secret, " ", ""), at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
