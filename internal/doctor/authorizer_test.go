package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/server"
	"wsify/internal/testtool"
)

// examined returns what a real run says, on a well-kept machine.
func examined(t *testing.T, cfg server.Config) *Report {
	t.Helper()
	if cfg.ListenAddrs == nil {
		cfg.ListenAddrs = []string{"127.0.0.1:0"}
	}
	return Examine(Read(t.Context(), valid(t, cfg), files(nil)), 0)
}

// hook is a webhook over TLS with a certificate for this name, which ends then. ca is the file to trust.
func hook(t *testing.T, name string, expires time.Time) (url, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: expires, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "https://localhost:" + port, ca
}

func TestCertificatesOfWebhooks(t *testing.T) {
	for name, tc := range map[string]struct {
		host    string
		expires time.Duration
		want    expected
	}{
		"good":           {"localhost", 1000 * time.Hour, expected{OK, "over TLS 1.3", ""}},
		"nearly expired": {"localhost", 100 * time.Hour, expected{Warning, "Its certificate expires on", ""}},
		"expired":        {"localhost", -time.Hour, expected{Problem, "its certificate has expired, or a clock is wrong", ""}},
		"another name":   {"elsewhere.example.com", 1000 * time.Hour, expected{Problem, "its certificate is for another name", ""}},
	} {
		url, ca := hook(t, tc.host, time.Now().Add(tc.expires))
		for check, cfg := range map[string]server.Config{"authorizer": {AuthorizerURL: url}, "events": ofEvents(url)} {
			cfg.AuthorizerCA = ca
			tc.want.compare(t, check+", "+name, finding(t, examined(t, cfg), check))
		}
	}
	url, _ := hook(t, "localhost", time.Now().Add(time.Hour))
	expected{Problem, "name a file with that in -authorizer-ca", ""}.compare(t, "unknown", finding(t, examined(t, server.Config{AuthorizerURL: url}), "authorizer"))
}

func TestAuthorizersThatDoNotWorkWell(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		check  string
		want   expected
	}{
		"it allows":      {func(http.ResponseWriter, *http.Request) {}, "authorizer", expected{OK, "It allows a client without credentials", ""}},
		"it refuses":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "authorizer", expected{OK, "refuses a client without credentials, with 403", ""}},
		"it is broken":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "authorizer", expected{Problem, "It is down: it answered 500 Internal Server Error", ""}},
		"it redirects":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "authorizer", expected{Warning, "302, which counts as no", ""}},
		"it closes":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }, "authorizer", expected{Warning, "closes connections after an answer", ""}},
		"an hour behind": {dated(-time.Hour), "clock", expected{Problem, "It differs from the authorizer's by", ""}},
		"an hour ahead":  {dated(time.Hour), "clock", expected{Problem, "It differs from the authorizer's by", ""}},
		"in step":        {dated(0), "clock", expected{OK, "It agrees with the authorizer's", ""}},
	} {
		s := httptest.NewServer(tc.answer)
		f := Read(t.Context(), valid(t, server.Config{AuthorizerURL: s.URL, ListenAddrs: []string{"127.0.0.1:0"}}), files(nil))
		f.Synchronized, f.ClockKnown = true, true
		tc.want.compare(t, name, finding(t, Examine(f, 0), tc.check))
		s.Close()
	}
	expected{Problem, "nothing listens on 127.0.0.1:1", ""}.compare(t, "nobody", finding(t, examined(t, server.Config{AuthorizerURL: "http://127.0.0.1:1"}), "authorizer"))
}

func valid(t *testing.T, cfg server.Config) server.Config {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func dated(by time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
	}
}

// It is asked about what it expects to be asked about, and can tell who asks.
func TestTheQuestionIsOneThatTheAuthorizerExpects(t *testing.T) {
	for events, want := range map[string]string{
		"":                     `{"command":"connect","args":{"headers":{"User-Agent":["wsify-doctor"]},"query":{}}}`,
		"broadcast,connect":    `{"command":"connect","args":{"headers":{"User-Agent":["wsify-doctor"]},"query":{}}}`,
		"leave,join,broadcast": `{"command":"leave","args":{"channel":"wsify-doctor"}}`,
	} {
		var got atomic.Pointer[string]
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			text := r.UserAgent() + " " + r.Header.Get("X-Wsify-Channel") + " " + string(body)
			got.Store(&text)
		}))
		cfg := server.Config{AuthorizerURL: s.URL}
		channel := ""
		if events != "" {
			cfg.AuthorizerEvents = strings.Split(events, ",")
		}
		if !strings.Contains(want, "connect") {
			channel = "wsify-doctor"
		}
		examined(t, cfg)
		if want := "wsify-doctor " + channel + " " + want; *got.Load() != want {
			t.Errorf("events %q:\n got %s\nwant %s", events, *got.Load(), want)
		}
		s.Close()
	}
}

// silent accepts connections and says nothing.
func silent(t *testing.T) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // the kernel accepts for it, up to its backlog
	return ln.Addr().String()
}

// Everybody who is asked hangs, and the configuration would wait for an hour.
func TestARunEndsWhateverHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the whole time that the engine gets, 10 s")
	}
	cfg := valid(t, server.Config{
		AuthorizerURL: "http://" + silent(t), AuthorizerTimeout: time.Hour,
		BrokerDriver: "redis", BrokerDSN: "redis://" + silent(t) + "?dial_timeout=1h", ListenAddrs: []string{silent(t)}, AdminAddr: silent(t),
	})
	ended := make(chan *Report, 1)
	go func() { ended <- Examine(Read(t.Context(), cfg, files(nil)), 0) }()
	select {
	case r := <-ended:
		expected{Problem, "it takes the connection and does not answer in time", ""}.compare(t, "authorizer", finding(t, r, "authorizer"))
		expected{Problem, "There is no link to the engine", ""}.compare(t, "broker", finding(t, r, "broker"))
		expected{Problem, "is taken, and no wsify answers there", ""}.compare(t, "listener", finding(t, r, "listen-addr"))
		expected{Problem, "is taken, and no wsify answers there", ""}.compare(t, "listener", finding(t, r, "admin-addr"))
	case <-time.After(testtool.Patience):
		t.Fatal("it has not ended")
	}
}
