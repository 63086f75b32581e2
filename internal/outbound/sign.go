package outbound

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"gatehouse/internal/secret"
)

// The headers of what is signed.
const (
	SignatureHeader = "Gatehouse-Signature"
	DeliveryHeader  = "Gatehouse-Delivery" // the same where a message comes twice
)

// NewKey makes a key that messages to one receiver are signed with.
func NewKey() secret.Value { return secret.New("whk_" + secret.Code(40)) }

// Sign is the header by which a receiver knows that a message is ours and new:
// t=SECONDS,v1=HEX, the HMAC-SHA256 of "SECONDS.BODY" under the receiver's key.
func Sign(key secret.Value, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	_, _ = mac.Write(append([]byte(t+"."), body...)) // never fails (hash)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
