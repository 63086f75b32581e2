package witness_test

import (
	"os/exec"
	"testing"
)

// The verifier's own Ed25519 agrees with RFC 8032 (7.1, tests 1 to 3), alone and
// together, and refuses what is changed or written in another way.
func TestVerifierEd25519(t *testing.T) {
	const script = `
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "../../docs")
import verify_history as v
vectors = [tuple(map(bytes.fromhex, t)) for t in [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]]
for key, message, signature in vectors:
    right = v.signatures_are_right
    assert right(key, [(message, signature)])
    assert right(key, [(message, signature)] * 20) and right(key, [(message, signature)] * 200)
    for i in range(0, 64, 7):
        bad = bytearray(signature)
        bad[i] ^= 1
        assert not right(key, [(message, bytes(bad))])
        assert not right(key, [(message, signature)] * 20 + [(message, bytes(bad))])
    assert not right(key, [(message + b"x", signature)])
    again = signature[:32] + (int.from_bytes(signature[32:], "little") + v.ORDER).to_bytes(32, "little")
    assert not right(key, [(message, again)])
`
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", script).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
