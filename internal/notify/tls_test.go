package notify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/notify"
	"gatehouse/internal/secret"
)

// certificate is one for 127.0.0.1 that this process trusts, as an operator's own.
var certificate tls.Certificate

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gatehouse-notify-")
	if err == nil {
		err = makeCertificate(filepath.Join(dir, "cert.pem"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir) // a directory for temporary files
	os.Exit(code)
}

func makeCertificate(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	if err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", file) // read once, by the first handshake
}

// Mail goes by STARTTLS, and the password too; channels by https.
func TestTLS(t *testing.T) {
	h := newHouse(t)
	ada := h.Person("Ada", access.Admin)
	box := newMailbox(t, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	posts := 0
	hook := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posts++ }))
	hook.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	hook.StartTLS()
	t.Cleanup(hook.Close)
	h.settings.Receivers.Private = []string{hook.Listener.Addr().String()}
	h.settings.Mail = notify.Mail{Addr: box.addr, From: "gatehouse@example.com", User: "gate", Password: secret.New("right"), TLS: notify.StartTLS}
	h.open()
	_, err := h.notify.Test(t.Context(), ada, notify.MailChannel)
	h.must(err)
	if len(box.to(ada)) != 1 || box.user != "gate" {
		t.Errorf("mails: %+v, signed in as %q", box.all(), box.user)
	}
	c, _, err := h.notify.AddChannel(t.Context(), ada, notify.ChannelInput{Kind: notify.Teams, Name: "n", URL: secret.New(hook.URL), Topics: notify.Topics()})
	h.must(err)
	_, err = h.notify.Test(t.Context(), ada, c.ID)
	h.must(err)
	if posts != 1 {
		t.Errorf("%d posts", posts)
	}
}
