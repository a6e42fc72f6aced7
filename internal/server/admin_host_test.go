package server

import (
	"net/http"
	"testing"
)

func TestAnAdminListenerOnLoopbackAnswersLocalNamesOnly(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	for host, want := range map[string]int{
		"": 200, "localhost": 200, "LOCALHOST:3001": 200, "a.localhost.": 200, "127.0.0.1:3001": 200, "127.9.9.9": 200, "[::1]:3001": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:3001": 421, "localhost.evil.example": 421, "192.0.2.1:3001": 421, "127.0.0.1.evil.example": 421,
	} {
		version := "1.1"
		if host == "" { // HTTP/1.0, as in checks of load balancers
			version = "1.0"
		} else {
			host = "Host: " + host + "\r\n"
		}
		if got, _, err := dial(t, srv.AdminAddr()).ask("GET /readyz HTTP/" + version + "\r\n" + host + "\r\n"); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d (%s)", host, got, err, want, http.StatusText(want))
		}
	}
}
