package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheStartSaysThatEveryClientMayPublish(t *testing.T) {
	webhook := httptest.NewServer(http.NotFoundHandler())
	defer webhook.Close()
	for _, tc := range []struct {
		name  string
		cfg   Config
		warns bool
	}{
		{"without an authorizer", Config{}, true},
		{"with one that is not asked about broadcasts", Config{AuthorizerURL: webhook.URL, AuthorizerEvents: []string{"connect", "join"}}, true},
		{"with one that is asked", Config{AuthorizerURL: webhook.URL}, false},
	} {
		_, book := startLogged(t, tc.cfg)
		if strings.Contains(book.String(), "every client may publish") != tc.warns {
			t.Errorf("%s: warned is %v; the log:\n%s", tc.name, !tc.warns, book)
		}
	}
}
