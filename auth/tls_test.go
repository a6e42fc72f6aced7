package auth

import (
	"crypto/tls"
	"net/http"
	"testing"
)

// trusting returns a configuration that accepts hook's certificate.
func trusting(hook *webhook) *tls.Config {
	return &tls.Config{RootCAs: hook.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func TestTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			hook := startWebhook(t, status(200), func(w *webhook) {
				w.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
				w.StartTLS()
			})
			config := trusting(hook)
			c := newClient(t, Config{URL: hook.URL, TLSConfig: config})
			for range 20 {
				wants(t, c, Allow, ResultAllow)
			}
			if n := hook.conns.Load(); n != 1 {
				t.Errorf("20 calls made %d connections, want 1", n)
			}
			if config.ServerName != "" || config.NextProtos != nil {
				t.Errorf("the caller's configuration was changed: %+v", config)
			}
			hook.CloseClientConnections()
			wants(t, c, Allow, ResultAllow)
		})
	}
}

func newTLSWebhook(t testing.TB) *webhook {
	return startWebhook(t, status(200), func(w *webhook) { w.StartTLS() })
}
