package access

import (
	"strings"
	"testing"

	"gatehouse/internal/secret"
)

func TestPassphrases(t *testing.T) {
	words := []string{"Emil Editor", "emil@example.com"}
	for _, easy := range []string{
		"aaaaaaaaaaaaaaaa", "abababababababab", "1234567890123456", "qwertyuiopasdfghjkl", "abcdefghijklmnop", "zyxwvutsrqponmlk",
		"passwordpassword", "password password password", "Password12345678", "P@ssw0rdP@ssw0rd1", "letmeinletmein123", "1qaz2wsx3edc4rfv",
		"EmilEditorEmilEditor", "emil@example.com", "gatehousegatehouse1", "composiocomposio", "short", "ééééééééééééééééé", "xq7!passwordpassword", "xyq!aaaaaaaaaaaaaaaaaaa", "1a2b1a2b1a2b1a2b1a2b",
	} {
		if checkPassphrase(secret.New(easy), words...) == "" {
			t.Errorf("%q is taken", easy)
		}
	}
	for _, good := range []string{
		"seven quiet otters cross the bridge", "correct horse battery staple", "correcthorsebatterystaple", "correct-horse-battery-9",
		"kD8#vQ2!mZ7pL0xR", "sieben grüne Äpfel im Korb", "七匹の静かなカワウソが橋を渡っていった", strings.Repeat("long enough to be a speech, ", 30),
	} {
		if complaint := checkPassphrase(secret.New(good), words...); complaint != "" {
			t.Errorf("%q is refused: %s", good, complaint)
		}
	}
}
