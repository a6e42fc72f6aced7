package clients

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// adminClient returns a client of the admin listener on a unix socket.
func adminClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// exchange sends a request with the key, and returns it, and the answer, with bodies that can be
// read again.
func exchange(t *testing.T, c *http.Client, method, target, body string, headers ...string) (*http.Request, *http.Response) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost:3001"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append([]string{"Authorization: Bearer k3y"}, headers...) {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(got))
	r.Body = io.NopCloser(strings.NewReader(body))
	return r, answer
}

// The description is valid OpenAPI 3.1, and real requests and answers are as it says.
func TestTheAdminAPIIsAsOpenAPIDescribesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin")
	s := serve(t, "-admin-addr", "unix:"+path, "-admin-key", "k3y", "-broadcast-open")
	c := adminClient(path)
	_, answer := exchange(t, c, "GET", "/openapi.json", "")
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("GET /openapi.json: %s, %v", answer.Status, err)
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	if version := doc.GetVersion(); !strings.HasPrefix(version, "3.1") {
		t.Errorf("OpenAPI %s, want 3.1", version)
	}
	v, errs := validator.NewValidator(doc)
	if errs != nil {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		t.Fatalf("%v", errs)
	}
	member, _, err := websocket.Dial(t.Context(), s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = member.CloseNow() }()
	if err := member.Write(t.Context(), websocket.MessageText, []byte(`{"command":"join","args":{"channel":"news"},"id":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := member.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method, target, body string
		status               int
		wrong                bool // the description forbids the request
	}{
		{"GET", "/channels", "", 200, false},
		{"GET", "/channels?prefix=n&limit=1&after=a", "", 200, false},
		{"GET", "/channels?limit=1001", "", 400, true},
		{"GET", "/channels/news", "", 200, false},
		{"GET", "/channels/nothing", "", 404, false},
		{"GET", "/connections?channel=news&limit=10", "", 200, false},
		{"GET", "/connections?address=nowhere", "", 400, false},
		{"GET", "/connections/0", "", 404, false},
		{"POST", "/unsubscribe", `{"channel":"news","all":true}`, 200, false},
		{"POST", "/unsubscribe", `{"channel":"news"}`, 400, true},
		{"POST", "/kick", `{"channel":"news","code":4010,"reason":"why"}`, 200, false},
		{"POST", "/kick", `{"id":"a","channel":"b"}`, 400, true},
		{"POST", "/kick", `{"id":"a","code":3999}`, 400, true},
		{"POST", "/kick", `{"user":"ann"}`, 200, false},
		{"POST", "/kick", `{"name":"ann"}`, 400, true},
		{"POST", "/log-level", `{"level":"warn"}`, 200, false},
		{"POST", "/log-level", `{"level":"loud"}`, 400, true},
		{"POST", "/reload", "", 200, false},
		{"POST", "/drain", `{}`, 200, false},
		{"DELETE", "/drain", "", 200, false},
	} {
		r, answer := exchange(t, c, tc.method, tc.target, tc.body)
		if answer.StatusCode != tc.status {
			t.Errorf("%s %s %s: %s, want %d", tc.method, tc.target, tc.body, answer.Status, tc.status)
		}
		if ok, errs := v.ValidateHttpRequest(r); ok == tc.wrong {
			t.Errorf("%s %s %s: the description accepts it: %t %v", tc.method, tc.target, tc.body, ok, errs)
		}
		if ok, errs := v.ValidateHttpResponse(r, answer); !ok {
			t.Errorf("the answer to %s %s %s is not as described: %v", tc.method, tc.target, tc.body, errs)
		}
	}
	r, answer := exchange(t, c, "GET", "/channels", "", "Authorization: Bearer wrong")
	if ok, errs := v.ValidateHttpResponse(r, answer); !ok || answer.StatusCode != 401 {
		t.Errorf("a wrong key: %s, %v", answer.Status, errs)
	}
}
