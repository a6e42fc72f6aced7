package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHintsTellWhatIsWrong checks that a webhook that cannot be reached is down, that Check and the
// first failing call name the same cause, and that each cause has its own hint.
func TestHintsTellWhatIsWrong(t *testing.T) {
	secure, plain := newTLSWebhook(t), newWebhook(t, status(200))
	elsewhere := trusting(secure)
	elsewhere.ServerName = "elsewhere.test"
	old := startWebhook(t, status(200), func(w *webhook) {
		w.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
		w.StartTLS()
	})
	hangs := "https" + strings.TrimPrefix(newPeer(t, (*line).hang).URL, "http")
	hangsUp := "https" + strings.TrimPrefix(newPeer(t, func(l *line) { l.Close() }).URL, "http")
	expired, roots := startDated(t, time.Now().Add(-time.Hour))

	const anyResult = NumResults // a resolver may refuse or not answer
	for _, tt := range []struct {
		name   string
		cfg    Config
		result Result
		hint   string
	}{
		{"refused", Config{URL: "http://" + closedPort(t)}, ResultUnreachable, "is the webhook running?"},
		{"no such name", Config{URL: "http://wsify.invalid/"}, anyResult, `"wsify.invalid" cannot be looked up`},
		{"dropped", Config{URL: "http://" + deafPort(t), Timeout: haste}, ResultTimeout, "does a firewall drop it?"},
		{"dropped, https", Config{URL: "https://" + deafPort(t), Timeout: haste}, ResultTimeout, "does a firewall drop it?"},
		{"silent", Config{URL: hangs, Timeout: haste}, ResultTimeout, "does not answer in time"},
		{"plain webhook", Config{URL: "https" + strings.TrimPrefix(plain.URL, "http")}, ResultUnreachable, "should the URL start with http://?"},
		{"hangs up", Config{URL: hangsUp}, ResultUnreachable, "should the URL start with http://?"},
		{"unknown authority", Config{URL: secure.URL}, ResultUnreachable, "-authorizer-ca"},
		{"another name", Config{URL: secure.URL, TLSConfig: elsewhere}, ResultUnreachable, "for another name: x509: certificate is valid for example.com, "},
		{"expired", Config{URL: expired, TLSConfig: roots}, ResultUnreachable, "has expired"},
		{"no TLS in common", Config{URL: old.URL, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13}}, ResultUnreachable, "does not agree to TLS"},
		{"wants ours, TLS 1.2", wanting(t, tls.VersionTLS12), anyResult, wantsCertificate},
		{"wants ours, TLS 1.3", wanting(t, tls.VersionTLS13), anyResult, wantsCertificate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, tt.cfg)
			report, err := c.Check(context.Background())
			failed := (*CallError)(nil)
			if !errors.As(err, &failed) || tt.result != anyResult && failed.Result != tt.result {
				t.Errorf("Check: %v, want %v", err, tt.result)
			}
			if text := report.String(); !strings.Contains(text, tt.hint) || !strings.Contains(text, "cannot be reached") {
				t.Errorf("the report reads %q, want %q in it", text, tt.hint)
			}
			d, cause := c.Ask(join())
			if result := ResultOf(d, cause); d != Down || tt.result != anyResult && result != tt.result || !strings.Contains(c.Hint(cause), tt.hint) {
				t.Errorf("Ask: %v (result %v), %v with hint %q, want %q in it", d, result, cause, c.Hint(cause), tt.hint)
			}
		})
	}
}

// TestPlainURLOfATLSWebhook checks that a TLS server answers plain HTTP with a 400 or an alert, and
// that a webhook's own 400 gives no hint.
func TestPlainURLOfATLSWebhook(t *testing.T) {
	alerts := newPeer(t, func(l *line) { l.request(); l.say("\x15\x03\x01\x00\x02\x02\x46") })
	for _, tt := range []struct {
		name, url string
		told      bool
	}{
		{"400", "http" + strings.TrimPrefix(newTLSWebhook(t).URL, "https"), true},
		{"an alert", alerts.URL, true},
		{"its own 400", newWebhook(t, status(400)).URL, false},
	} {
		c := newClient(t, Config{URL: tt.url})
		_, cause := c.Ask(join())
		if text := cause.Error() + c.Hint(cause); strings.Contains(text, "https://") != tt.told {
			t.Errorf("%s: %q", tt.name, text)
		}
	}
}

// A server that requests a client certificate but does not require it is reached.
func TestCertificateThatIsOptional(t *testing.T) {
	t.Parallel() // mostly waits
	hook := startWebhook(t, status(200), func(w *webhook) {
		w.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}
		w.StartTLS()
	})
	c := newClient(t, Config{URL: hook.URL, TLSConfig: trusting(hook)})
	if report, err := c.Check(context.Background()); err != nil {
		t.Errorf("Check = %v, %v", report, err)
	}
}

// closedPort returns an address without a listener.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// deafPort returns an address where the kernel drops a connection attempt, as a firewall does:
// the queue of its listener is full.
func deafPort(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}).String()
	for {
		conn, err := net.DialTimeout("tcp", addr, haste)
		if timedOut(err) {
			return addr
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
}

// wanting starts a webhook that requires client certificates, and returns a Config for it.
func wanting(t *testing.T, version uint16) Config {
	hook := startWebhook(t, status(200), func(w *webhook) {
		w.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
		w.StartTLS()
	})
	return Config{URL: hook.URL, TLSConfig: trusting(hook)}
}

// startDated starts a webhook whose certificate is valid until then.
func startDated(t *testing.T, until time.Time) (url string, config *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: until.Add(-time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	hook := startWebhook(t, status(200), func(w *webhook) {
		w.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		w.StartTLS()
	})
	roots := x509.NewCertPool()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	return hook.URL, &tls.Config{RootCAs: roots}
}
