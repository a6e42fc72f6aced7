package server

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// startTLS starts an https webhook, and returns a file with its authority.
func startTLS(t *testing.T, answer http.HandlerFunc) (hook *httptest.Server, ca string) {
	t.Helper()
	hook = httptest.NewUnstartedServer(answer)
	hook.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	hook.StartTLS()
	t.Cleanup(hook.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return hook, ca
}

// An https webhook is trusted by the file of its authority. A server that calls it without TLS, or
// without the file, logs that once.
func TestAuthorizerOverTLS(t *testing.T) {
	hook, ca := startTLS(t, func(http.ResponseWriter, *http.Request) {})
	for _, tc := range []struct {
		cfg    Config
		status int
		log    string
	}{
		{Config{AuthorizerURL: hook.URL, AuthorizerCA: ca}, 101, "over TLS 1.3"},
		{Config{AuthorizerURL: hook.URL}, 503, `503" cause=`},
		{Config{AuthorizerURL: hook.URL}, 503, `in -authorizer-ca"`},
		{Config{AuthorizerURL: "http" + strings.TrimPrefix(hook.URL, "https")}, 403, `hint="it speaks TLS: should the URL start with https://?"`},
	} {
		srv, book := startLogged(t, tc.cfg)
		for range 2 {
			dial(t, srv.Addr()).expect(t, upgradeRequest, tc.status)
		}
		testtool.Until(t, "the log says "+tc.log, func() bool { return strings.Contains(book.String(), tc.log) })
		if n := strings.Count(book.String(), "hint="); n > 1 {
			t.Errorf("%d hints:\n%s", n, book)
		}
	}
}
