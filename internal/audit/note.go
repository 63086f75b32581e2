package audit

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A SigningKey signs notes with Ed25519. It prints as its public half.
type SigningKey struct {
	signer note.Signer
	public string
}

// NewSigningKey makes a key under a name and returns the text to keep of it: a
// secret line and a public one.
func NewSigningKey(name string) (string, error) {
	private, public, err := note.GenerateKey(rand.Reader, name)
	return private + "\n" + public + "\n", err
}

// ParseSigningKey reads what [NewSigningKey] returned.
func ParseSigningKey(text string) (*SigningKey, error) {
	private, public, ok := strings.Cut(strings.TrimSpace(text), "\n")
	if !ok {
		return nil, errors.New("no signing key")
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, errors.New("no signing key") // the error may quote the key
	}
	k := &SigningKey{signer: signer, public: public}
	signed, err := k.Sign("check\n")
	if err != nil {
		return nil, err
	}
	keys, err := ParsePublicKeys(public)
	if err == nil {
		_, err = keys.Open(signed)
	}
	if err == nil && len(keys.list) > 1 {
		err = errors.New("there is more than one public key")
	}
	if err != nil {
		return nil, fmt.Errorf("the halves of the signing key don't fit: %w", err)
	}
	return k, nil
}

// Name is the key's name, which is also the origin of its checkpoints.
func (k *SigningKey) Name() string { return k.signer.Name() }

// Public is the line that others verify with.
func (k *SigningKey) Public() string { return k.public }

// String returns the public half.
func (k *SigningKey) String() string { return k.public }

// GoString returns the public half.
func (k *SigningKey) GoString() string { return k.public }

// Sign makes a note of a text, which must end in a newline and have no other
// control characters.
func (k *SigningKey) Sign(text string) ([]byte, error) {
	return note.Sign(&note.Note{Text: text}, k.signer)
}

// PublicKeys are those whose signatures count.
type PublicKeys struct{ list []note.Verifier }

// ParsePublicKeys reads public keys, one a line; empty lines and those that
// begin with # are left out.
func ParsePublicKeys(text string) (PublicKeys, error) {
	var keys PublicKeys
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return PublicKeys{}, fmt.Errorf("%q is no public key: %w", line, err)
		}
		keys.list = append(keys.list, v)
	}
	if len(keys.list) == 0 {
		return keys, errors.New("no public key")
	}
	return keys, nil
}

// Open returns the text of a note that one of the keys signed, and nobody else.
func (k PublicKeys) Open(signed []byte) (string, error) {
	n, err := k.open(signed)
	if err != nil {
		return "", err
	}
	return n.Text, nil
}

func (k PublicKeys) open(signed []byte) (*note.Note, error) {
	n, err := note.Open(signed, note.VerifierList(k.list...))
	if err != nil {
		return nil, err
	}
	sig := n.Sigs[0]
	if raw, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil || len(n.UnverifiedSigs) > 0 ||
		string(signed) != n.Text+"\n— "+sig.Name+" "+base64.StdEncoding.EncodeToString(raw)+"\n" {
		return nil, errors.New("the note has more than one signature, or it is written in another way")
	}
	return n, nil
}

// OpenCheckpoint returns the checkpoint of a note that the key of its origin
// signed.
func (k PublicKeys) OpenCheckpoint(signed []byte) (Checkpoint, error) {
	n, err := k.open(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != n.Sigs[0].Name {
		return Checkpoint{}, errors.New("the checkpoint is signed by a key of another name")
	}
	return c, nil
}
