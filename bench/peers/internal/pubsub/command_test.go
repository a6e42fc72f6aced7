package pubsub

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestAnswersAreForThoseWhoAsk(t *testing.T) {
	var d delivered
	s := d.server().Open(1)
	handle(t, s, `{"id":7,"command":"join","args":{"channel":"a"}}`, `{"id":7,"ok":true}`)
	handle(t, s, `{"id":"x\"y","command":"leave","args":{"channel":"a"}}`, `{"id":"x\"y","ok":true}`)
	handle(t, s, `{"id":-1.5,"command":"sing","args":{"channel":"a"}}`,
		`{"id":-1.5,"ok":false,"error":{"code":"unknown_command","message":"want join, leave or broadcast"}}`)
	handle(t, s, `{"id":8,"command":"join","args":{"channel":" "}}`, `{"id":8,"ok":false,"error":{"code":"bad_request","message":"no channel"}}`)
	handle(t, s, `{"id":{},"command":"join","args":{"channel":"a"}}`, "")
	handle(t, s, `{"command":"sing"}`, "")
	handle(t, s, `[1]`, "")
	handle(t, s, `{`, "")
}

func TestContentIsKeptByteForByteAndIsNoPartOfTheMessage(t *testing.T) {
	for _, content := range []string{`{"b":1,  "a":12345678901234567890}`, `"é\u00e9\/"`, `1.0e+2`, `null`, `[ ]`} {
		message := []byte(`{"command":"broadcast","args":{"channel":"a","content":` + content + `}}`)
		c, ok := parseCommand(message)
		clear(message)
		if !ok || string(c.Args.Content) != content || c.Args.Channel != "a" {
			t.Errorf("content %s of channel %q, %v; want %s", c.Args.Content, c.Args.Channel, ok, content)
		}
	}
	if c, ok := parseCommand([]byte(`{"args":{"channel":"a"}}`)); !ok || string(c.Args.Content) != "null" {
		t.Errorf("absent content is %q, want null", c.Args.Content)
	}
}

func TestEachMessageStartsAnew(t *testing.T) {
	if c, ok := parseCommand([]byte(`{"id":1,"command":"join","args":{"channel":"a"}}`)); !ok || c.Command != "join" {
		t.Fatalf("got %+v, %v", c, ok)
	}
	if c, ok := parseCommand([]byte(`{}`)); !ok || c.Command != "" || c.Args.Channel != "" || c.answered() {
		t.Errorf("{} is %+v, %v; want nothing of the message before", c, ok)
	}
}

func TestBroadcastByPost(t *testing.T) {
	cases := []struct {
		rule, method, body string
		status             int
		delivered          []string
	}{
		{"content beside the channel", "POST", `{"channel":"a","content":{"x": 1}}`, 201, []string{`1 {"x": 1}`}},
		{"content in args", "POST", `{"channel":"a","args":{"content":2}}`, 201, []string{"1 2"}},
		{"no content is null", "POST", `{"channel":"a"}`, 201, []string{"1 null"}},
		{"to nobody", "POST", `{"channel":"b","content":3}`, 201, nil},
		{"no channel", "POST", `{"content":3}`, 400, nil},
		{"no JSON", "POST", `channel=a`, 400, nil},
		{"no POST", "GET", ``, 405, nil},
		{"too large", "POST", `{"channel":"a","content":"` + strings.Repeat("x", MaxMessageSize) + `"}`, 413, nil},
	}
	var d delivered
	server := d.server()
	server.Open(1).join("a")
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			w := httptest.NewRecorder()
			server.ServeHTTP(w, httptest.NewRequest(c.method, "/broadcast", strings.NewReader(c.body)))
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			if c.status == http.StatusCreated && w.Body.Len() != 0 {
				t.Errorf("a body %q, want none", w.Body)
			}
			if got := d.take(); !slices.Equal(got, c.delivered) {
				t.Errorf("delivered %q, want %q", got, c.delivered)
			}
		})
	}
}

func TestTextFrameIsThatOfTheRFC(t *testing.T) {
	cases := []struct {
		size int
		head []byte
	}{
		{0, []byte{0x81, 0}},
		{125, []byte{0x81, 125}},
		{126, []byte{0x81, 126, 0, 126}},
		{65535, []byte{0x81, 126, 0xff, 0xff}},
		{65536, []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	}
	for _, c := range cases {
		payload := slices.Repeat([]byte("x"), c.size)
		if got, want := TextFrame(payload), append(slices.Clone(c.head), payload...); !slices.Equal(got, want) {
			t.Errorf("TextFrame of %d bytes starts with % x, want % x", c.size, got[:min(len(got), 12)], c.head)
		}
	}
}
