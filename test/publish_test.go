package test

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// curl runs curl without its own configuration. It returns the status of the last response and all
// output before it.
func curl(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	need(t, "curl", "curl")
	args = append([]string{"curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20", "-w", "\n%{http_code}"}, args...)
	printed, err := run(t, scratch, nil, args...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, printed)
	}
	cut := strings.LastIndexByte(printed, '\n')
	if status, err = strconv.Atoi(printed[cut+1:]); err != nil {
		t.Fatalf("%q printed no status: %s", args, printed)
	}
	return status, printed[:cut]
}

const jsonType = "Content-Type: application/json"

func TestCurlPublishes(t *testing.T) {
	s := serve(t, "-broadcasting-key", "k3y", "-max-message-size", "1KiB")
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	hello, large := `{"channel":"news","content":"hello"}`, `{"channel":"news","content":"`+strings.Repeat("x", 1<<10)+`"}`
	withKey := s.http() + "/broadcast?key=k3y"
	for _, tc := range []struct {
		name   string
		args   []string
		status int
		body   string // a part of the response's
		heard  string
	}{
		{"with the key in the query", []string{withKey, "-H", jsonType, "-d", hello}, 201, "", `"hello"`},
		{"with the key in a header", []string{s.http() + "/broadcast", "-H", "Authorization: Bearer k3y", "-H", jsonType, "-d", hello}, 201, "", `"hello"`},
		{"with a charset", []string{withKey, "-H", jsonType + "; charset=utf-8", "-d", hello}, 201, "", `"hello"`},
		{"in the form that v3 documented", []string{withKey, "-H", jsonType, "-d", `{"channel":"news","args":{"content":[1e400]}}`}, 201, "", `[1e400]`},
		{"without content", []string{withKey, "-H", jsonType, "-d", `{"channel":"news"}`}, 201, "", `null`},
		{"with another key", []string{s.http() + "/broadcast?key=key", "-H", jsonType, "-d", hello}, 403, "wrong or missing key", ""},
		{"without a key", []string{s.http() + "/broadcast", "-H", jsonType, "-d", hello}, 403, "wrong or missing key", ""},
		{"as a form", []string{withKey, "-d", hello}, 415, "application/json", ""},
		{"what is no JSON", []string{withKey, "-H", jsonType, "-d", `{`}, 400, "not valid JSON", ""},
		{"to no channel", []string{withKey, "-H", jsonType, "-d", `{"content":1}`}, 400, "channel is missing", ""},
		{"too much", []string{withKey, "-H", jsonType, "-d", large}, 413, "max-message-size", ""},
		{"with GET", []string{withKey}, 405, "POST", ""},
		{"elsewhere", []string{s.http() + "/publish", "-d", hello}, 404, "not found", ""},
		{"a preflight", []string{"-i", "-X", "OPTIONS", withKey}, 204, "Access-Control-Allow-Origin: *", ""},
		{"with plain HTTP to /ws", []string{s.http() + "/ws"}, 426, "wscat -c", ""},
	} {
		status, body := curl(t, tc.args...)
		if status != tc.status || !strings.Contains(body, tc.body) {
			t.Errorf("%s: %d %q, want %d and %q in it", tc.name, status, body, tc.status, tc.body)
		}
		if tc.heard != "" {
			member.expect("message " + tc.heard)
		}
	}
	member.ask(`{"command":"leave","args":{"channel":"news"},"id":"the end"}`, `message {"id":"the end","ok":true}`)
}

func TestCurlIsToldToContinueOrNot(t *testing.T) {
	s := serve(t, "-broadcasting-key", "k3y")
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	for _, tc := range []struct {
		key, content string
		continues    bool
		status       int
	}{
		{"k3y", "ok", true, 201},
		{"k3y", strings.Repeat("x", 64<<10), true, 413}, // a batch of this size would be taken
		{"k3y", strings.Repeat("x", 1<<20), false, 413},
		{"other", "ok", false, 403},
	} {
		body := writeFile(t, t.TempDir(), "body", fmt.Sprintf(`{"channel":"news","content":%q}`, tc.content))
		status, out := curl(t, "-v", s.http()+"/broadcast?key="+tc.key, "-H", jsonType, "-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", "@"+body)
		if continued := strings.Contains(out, "100 Continue"); status != tc.status || continued != tc.continues {
			t.Errorf("key %s, %d bytes: status %d, told to continue: %t; want %d, %t\n%s", tc.key, len(tc.content), status, continued, tc.status, tc.continues, out)
		}
	}
	member.expect(`message "ok"`)
}

func TestCurlSendsABodyOfUnknownLength(t *testing.T) {
	s := serve(t)
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	need(t, "curl", "curl")
	for content, status := range map[string]string{strings.Repeat("x", 60<<10): "201", strings.Repeat("x", 65<<10): "413"} {
		p := start(t, scratch, nil, "curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20", "-o", filepath.Join(t.TempDir(), "answer"),
			"-w", "%{http_code}\n", s.http()+"/broadcast", "-H", jsonType, "-H", "Transfer-Encoding: chunked", "-T", "-", "-X", "POST")
		if _, err := io.WriteString(p.in, `{"channel":"news","content":"`+content+`"}`); err != nil {
			t.Fatal(err)
		}
		_ = p.in.Close()
		if got := p.line(); got != status {
			t.Errorf("%d bytes in chunks: %s, want %s", len(content), got, status)
		}
		if status == "201" {
			member.expect(`message "` + content + `"`)
		}
	}
}

func TestCurlKeepsItsConnection(t *testing.T) {
	s := serve(t)
	need(t, "curl", "curl")
	url := s.http() + "/broadcast"
	out, err := run(t, scratch, nil, "curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20",
		"-w", "%{num_connects} %{http_code}\n", "-H", jsonType, "-d", `{"channel":"a"}`, url, url, url)
	if want := "1 201\n0 201\n0 201\n"; err != nil || out != want {
		t.Errorf("three requests: %v, connections made and status\n%swant\n%s", err, out, want)
	}
}
