package auth

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadRoots(t *testing.T) {
	hook := newTLSWebhook(t)
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	bad := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	for _, tt := range []struct {
		name, content, want string
	}{
		{"one", string(good), ""},
		{"a key before it", string(key) + "\n# mine\n" + string(good), ""},
		{"nothing", "", "holds no certificate"},
		{"DER", string(hook.Certificate().Raw), "holds no certificate"},
		{"a key alone", string(key), "holds no certificate"},
		{"a broken second", string(good) + string(bad), "certificate 2 in"},
	} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		roots, err := LoadRoots(file)
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q in it", tt.name, err, tt.want)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		default:
			wants(t, newClient(t, Config{URL: hook.URL, TLSConfig: &tls.Config{RootCAs: roots}}), Allow, ResultAllow)
		}
	}
	if _, err := LoadRoots(t.TempDir()); err == nil {
		t.Error("a directory is taken")
	}
}
