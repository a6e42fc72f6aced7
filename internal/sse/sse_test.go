package sse

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"wsify/internal/wire"
)

func request(t testing.TB, method, target string, headers ...string) *wire.Request {
	t.Helper()
	head := method + " " + target + " HTTP/1.1\r\nHost: a\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	r, err := wire.ParseRequest([]byte(head + "\r\n"))
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return &r
}

func TestRequests(t *testing.T) {
	rules := Rules{MaxChannels: 3, MaxChannelLength: 5, NeedsChannel: true}
	for _, c := range []struct {
		target   string
		channels []string
		detail   string // of a refusal with 400
	}{
		{"/sse?channel=a", []string{"a"}, ""},
		{"/sse?channel=b&x=1&channel=a&channel=b", []string{"b", "a"}, ""},
		{"/sse?channel=%20a%2Fb+c%0A", []string{"a/b c"}, ""},
		{"/sse?channel=%C3%A9%2C", []string{"é,"}, ""},
		{"/sse?channel=12345", []string{"12345"}, ""},
		{"/sse?channel=1&channel=2&channel=3&channel=2", []string{"1", "2", "3"}, ""},
		{"/sse?channel=123456", nil, "the channel name is too long"},
		{"/sse?channel=1&channel=2&channel=3&channel=4", nil, "more channels than -max-channels-per-connection"},
		{"/sse", nil, "name at least one channel: /sse?channel=NAME"},
		{"/sse?Channel=a", nil, "name at least one channel: /sse?channel=NAME"},
		{"/sse?channel=a&channel=", nil, "channel is missing or empty"},
		{"/sse?channel=%20", nil, "channel is missing or empty"},
		{"/sse?channel=%00a", nil, "a channel's name must not begin with U+0000"},
		{"/sse?channel=%FF", nil, "a channel's name is not UTF-8 when it is decoded"},
		{"/sse?channel=%zz", nil, "the query cannot be decoded"},
		{"/sse?channel=a&b;c", nil, "the query cannot be decoded"},
	} {
		q, no := rules.Parse(request(t, "GET", c.target))
		if c.detail != "" {
			if no.Status != 400 || no.Detail != c.detail {
				t.Errorf("%s: %d %s, want 400 %s", c.target, no.Status, no.Detail, c.detail)
			}
		} else if no.Status != 0 || !slices.Equal(q.Channels, c.channels) {
			t.Errorf("%s: %q, %v; want %q", c.target, q.Channels, no, c.channels)
		}
	}
	rules.NeedsChannel = false
	if q, no := rules.Parse(request(t, "GET", "/sse")); no.Status != 0 || q.Channels != nil {
		t.Errorf("without a channel, for which an authorizer may be asked: %v, %v", q, no)
	}
}

func TestOtherMethodsAndBodiesBeginNoStream(t *testing.T) {
	rules := Rules{MaxChannels: 1, MaxChannelLength: 5}
	for _, method := range []string{"HEAD", "POST", "PUT", "get"} {
		if _, no := rules.Parse(request(t, method, "/sse?channel=a")); no.Status != 405 || no.Headers != "Allow: GET, OPTIONS\r\n" {
			t.Errorf("%s: %+v, want 405 with Allow", method, no)
		}
	}
	for _, body := range []string{"Content-Length: 1", "Transfer-Encoding: chunked"} {
		if _, no := rules.Parse(request(t, "GET", "/sse?channel=a", body)); no.Status != 400 {
			t.Errorf("%s: %+v, want 400", body, no)
		}
	}
	if _, no := rules.Parse(request(t, "GET", "/sse?channel=a", "Content-Length: 0")); no.Status != 0 {
		t.Errorf("Content-Length: 0: %+v", no)
	}
}

func TestTheHeaderIsNewerThanTheQuery(t *testing.T) {
	rules := Rules{MaxChannels: 1, MaxChannelLength: 5}
	for _, c := range []struct {
		query, want string
		headers     []string
	}{
		{"", "", nil},
		{"&last-event-id=a-1", "a-1", nil},
		{"&last-event-id=a-1", "a-2", []string{"last-event-ID: a-2"}},
		{"&last-event-id=a-1", "a-1", []string{"Last-Event-ID:"}},
	} {
		if q, _ := rules.Parse(request(t, "GET", "/sse?channel=a"+c.query, c.headers...)); q.After != c.want {
			t.Errorf("%s with %q: after %q, want %q", c.query, c.headers, q.After, c.want)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{"channel=a", "channel=a&channel=b&channel=a", "channel=%20%C3%A9+&last-event-id=x", "channel=%00", "channel=%ff&;", "%"} {
		f.Add(seed, "")
	}
	f.Add("channel=a", "e-1,e-2")
	rules := Rules{MaxChannels: 4, MaxChannelLength: 10, NeedsChannel: true}
	f.Fuzz(func(t *testing.T, query, after string) {
		r, err := wire.ParseRequest([]byte("GET /sse?" + query + " HTTP/1.1\r\nHost: a\r\nLast-Event-ID: " + after + "\r\n\r\n"))
		if err != nil {
			return
		}
		q, no := rules.Parse(&r)
		if no.Status != 0 {
			if no.Detail == "" {
				t.Errorf("%q is refused without a reason", query)
			}
			return
		}
		if len(q.Channels) == 0 || len(q.Channels) > rules.MaxChannels {
			t.Errorf("%q: %d channels", query, len(q.Channels))
		}
		values, _ := url.ParseQuery(string(r.RawQuery))
		for i, name := range q.Channels {
			if name != strings.TrimSpace(name) || name == "" || name[0] == 0 || len(name) > rules.MaxChannelLength || !utf8.ValidString(name) {
				t.Errorf("%q: the channel %q", query, name)
			}
			if slices.Contains(q.Channels[:i], name) || !slices.ContainsFunc(values["channel"], func(v string) bool { return strings.TrimSpace(v) == name }) {
				t.Errorf("%q: the channel %q is there twice, or was not asked for", query, name)
			}
		}
	})
}

func TestHead(t *testing.T) {
	const want = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n" +
		"Connection: close\r\nDate: now\r\nAccess-Control-Allow-Origin: https://a.test\r\nAccess-Control-Allow-Credentials: true\r\n" +
		"Access-Control-Expose-Headers: Retry-After\r\nVary: Origin\r\n\r\nretry: 1500\n\n"
	if got := string(AppendHead(nil, CORS([]byte("https://a.test")), []byte("Date: now\r\n"), 1500*time.Millisecond)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := CORS(nil); got != "Vary: Origin\r\n" {
		t.Errorf("without an origin: %q", got)
	}
}

func TestEvents(t *testing.T) {
	for want, got := range map[string][]byte{
		"data: {\"channel\":\"c\",\"content\":{\"a\":  1}}\n\n":                          AppendEvent(nil, "", []byte("c"), []byte("{\"a\":\r\n1}")),
		"id: e-1\ndata: {\"channel\":\"a\\nb\",\"content\":1}\n\n":                       AppendEvent(nil, "e-1", []byte("a\nb"), []byte("1")),
		"data: {\"content\":\"no\\n\\nJSON\"}\n\n":                                       AppendEvent(nil, "", nil, []byte("no\n\nJSON")),
		"id: e-1,e-2\nevent: gap\ndata: {\"channel\":\"c\\n\",\"position\":\"e-2\"}\n\n": AppendGap(nil, "e-1,e-2", "c\n", "e-2"),
		"id: e-1\nevent: joined\ndata: {}\n\n":                                           AppendJoined(nil, "e-1", false, true),
		"event: joined\ndata: {\"recovered\":false}\n\n":                                 AppendJoined(nil, "", true, false),
		"event: close\ndata: {\"code\":4003,\"reason\":\"a\\nb\"}\n\n":                   AppendClose(nil, 4003, "a\nb", 0),
		"retry: 250\nevent: close\ndata: {\"code\":1012,\"reason\":\"\"}\n\n":            AppendClose(nil, 1012, "", 250*time.Millisecond),
		"before data: {\"channel\":\"c\",\"content\":\"  \\r\"}\n\n":                     append([]byte("before "), AppendEvent(nil, "", []byte("c"), []byte(`"  \r"`))...),
	} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTheIDOfAnEventCanBeReplaced, whatever kind of event it is, if it is one of this channel.
func TestTheIDOfAnEventCanBeReplaced(t *testing.T) {
	for _, c := range []struct {
		event []byte
		id    string
		of    bool // channel a"b
	}{
		{AppendEvent(nil, "e-1", []byte("a\"b"), []byte("1")), "e-1", true},
		{AppendEvent(nil, "e-1", []byte("a\"bc"), []byte("1")), "e-1", false},
		{AppendEvent(nil, "e-1", []byte("a"), []byte(`"a\"b"`)), "e-1", false},
		{AppendGap(nil, "e-2", "a\"b", "e-2"), "e-2", true},
		{AppendGap(nil, "e-2", "c", "e-2"), "e-2", false},
		{AppendEvent(nil, "", []byte("a\"b"), []byte("1")), "", true},
		{AppendJoined(nil, "e-1,f-2", true, true), "e-1,f-2", false},
	} {
		id, rest, ok := CutID(c.event)
		if string(id) != c.id || ok != (c.id != "") || HasData(rest, DataOf("a\"b")) != c.of {
			t.Errorf("%q: id %q, %v; of the channel: %v", c.event, id, ok, !c.of)
		}
		if again := append(AppendID(nil, string(id)), rest...); string(again) != string(c.event) {
			t.Errorf("%q became %q", c.event, again)
		}
	}
}

// FuzzEvent reads events as a browser does: whatever the content, an event is one event.
func FuzzEvent(f *testing.F) {
	f.Add("c", "[1,\r\n2]", "e-1")
	f.Add("a\nb", "1\n\ndata: forged\n\n", "")
	f.Fuzz(func(t *testing.T, channel, content, id string) {
		if strings.ContainsAny(id, "\r\n\x00") {
			return // positions are text of ours
		}
		raw := string(AppendEvent(nil, id, []byte(channel), []byte(content)))
		body, ok := strings.CutSuffix(raw, "\n\n")
		if !ok || strings.Contains(body, "\r") || strings.Contains(body, "\n\n") {
			t.Fatalf("%q is not one event", raw)
		}
		fields := strings.Split(body, "\n")
		if want := 1 + min(len(id), 1); len(fields) != want {
			t.Fatalf("%q has %d fields, want %d", raw, len(fields), want)
		}
		data, ok := strings.CutPrefix(fields[len(fields)-1], "data: ")
		var m struct{ Content any }
		if err := json.Unmarshal([]byte(data), &m); !ok || err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if !json.Valid([]byte(content)) && fmt.Sprintf("%T", m.Content) != "string" {
			t.Errorf("%q became %q", content, data)
		}
	})
}
