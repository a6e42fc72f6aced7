package server

import (
	"net/http"
	"strings"
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

func TestAWrongHostIsCountedAndLogged(t *testing.T) {
	srv, book := startLogged(t, Config{AdminAddr: "127.0.0.1:0"})
	for range 3 {
		status, body, err := dial(t, srv.AdminAddr()).ask(adminRequest("GET", "/metrics", "", "Host: evil.example"))
		if err != nil || status != 421 || !strings.HasPrefix(body, `{"error":{"code":"wrong_host",`) {
			t.Fatalf("%d %s, %v; want 421", status, body, err)
		}
	}
	if n := samples(t, srv)[`admin_requests_refused_total{reason="wrong_host"}`]; n != 3 {
		t.Errorf("%v counted, want 3", n)
	}
	if n := strings.Count(book.String(), "reason=wrong_host"); n != 1 {
		t.Errorf("%d records in the log, want 1:\n%s", n, book)
	}
}
