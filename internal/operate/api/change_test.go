package api

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestChangesReachTheServer(t *testing.T) {
	for _, tc := range []struct {
		target, body string
		want         Order
	}{
		{"/kick", `{"id":"7-1"}`, Order{ID: "7-1", Code: 4003}},
		{"/kick", `{"channel":" news "}`, Order{Channel: "news", Code: 4003}},
		{"/kick", `{"address":"192.0.2.1","code":4000}`, Order{Address: netip.MustParsePrefix("192.0.2.1/32"), Code: 4000}},
		{"/kick", `{"address":"2001:db8::7/64","code":4999,"reason":"` + strings.Repeat("r", 123) + `"}`,
			Order{Address: netip.MustParsePrefix("2001:db8::/64"), Code: 4999, Reason: strings.Repeat("r", 123)}},
		{"/kick", `{"user":" ann "}`, Order{User: " ann ", Code: 4003}},
		{"/unsubscribe", `{"channel":"news","user":"ann"}`, Order{Unsubscribe: true, Channel: "news", User: "ann"}},
		{"/unsubscribe", `{"channel":"news","id":"7-1"}`, Order{Unsubscribe: true, Channel: "news", ID: "7-1"}},
		{"/unsubscribe", ` {"channel":" news ","all":true} `, Order{Unsubscribe: true, Channel: "news"}},
	} {
		for _, nodes := range []string{NodesNone, NodesTold} {
			f := &fake{carried: Carried{3, nodes}}
			w := do(newAPI("k3y", true, f), "POST", tc.target, tc.body, bearer, "Content-Type: application/json; charset=utf-8")
			if w.Code != 200 || f.order != tc.want || strings.TrimSpace(w.Body.String()) != `{"here":3,"nodes":"`+nodes+`"}` {
				t.Errorf("POST %s %s: %d %s, the server got %+v; want %+v", tc.target, tc.body, w.Code, w.Body, f.order, tc.want)
			}
		}
	}
}

func TestAChangeThatIsWrongChangesNothing(t *testing.T) {
	const one = "give one of id, channel, address and user"
	for _, tc := range []struct {
		target, body, want string
		status             int
	}{
		{"/kick", ``, "the body is empty; it has to be a JSON object", 400},
		{"/kick", `{}`, one, 400},
		{"/kick", `null`, "the body has to be a JSON object", 400},
		{"/kick", `nope`, "the body is no JSON; look near byte 2", 400},
		{"/kick", `{"Channel":"news"}`, `there is no field "Channel"; there are "address", "channel", "code", "id", "reason" and "user"`, 400},
		{"/kick", `{"channel":"zz","CHANNEL":"slow:0"}`, `there is no field "CHANNEL"`, 400},
		{"/kick", `{"channel":"a","channel":"b"}`, `the field "channel" is there more than once`, 400},
		{"/kick", `{"channel":"a","ch\u0061nnel":"a"}`, `the field "channel" is there more than once`, 400},
		{"/kick", `{"channel":"a","":1}`, `there is no field ""`, 400},
		{"/kick", `{"id":""}`, one, 400},
		{"/kick", `{"id":"a","channel":"b"}`, one, 400},
		{"/kick", `{"name":"ann"}`, `there is no field "name"`, 400},
		{"/kick", `{"id":"a","user":"ann"}`, one, 400},
		{"/kick", `{"id":"a"}{"id":"b"}`, "there is something behind the object", 400},
		{"/kick", `{"id":"a"`, "the body ends too early", 400},
		{"/kick", `{"id":"a`, "the body ends too early", 400},
		{"/kick", `{"id":`, "the body ends too early", 400},
		{"/kick", `{"id":"a",}`, "the body is no JSON; look near byte 10", 400},
		{"/kick", `{"id" "a"}`, "the body is no JSON; look near byte 6", 400},
		{"/kick", `{"id":"a"]`, "the body is no JSON; look near byte 9", 400},
		{"/kick", `{"id":"a"}]`, "there is something behind the object", 400},
		{"/kick", `[]`, "the body has to be a JSON object", 400},
		{"/kick", `{"id":7}`, "id has to be a string", 400},
		{"/kick", `{"id":null}`, "id has to be a string", 400},
		{"/kick", `{"id":["a"]}`, "id has to be a string", 400},
		{"/kick", `{"id":"a","code":"4000"}`, "code has to be a whole number", 400},
		{"/kick", `{"id":"a","code":4000.5}`, "code has to be a whole number", 400},
		{"/kick", `{"id":"a","code":99999999999999999999}`, "code has to be a whole number", 400},
		{"/kick", `{"address":"x"}`, `"x" is neither an address`, 400},
		{"/kick", `{"id":"a","code":3999}`, "code has to be from 4000 to 4999", 400},
		{"/kick", `{"id":"a","code":5000}`, "code has to be from 4000 to 4999", 400},
		{"/kick", `{"id":"a","code":0}`, "code has to be from 4000 to 4999", 400},
		{"/kick", `{"id":"a","reason":"` + strings.Repeat("r", 124) + `"}`, "reason may have 123 bytes", 400},
		{"/kick", `{"id":"` + strings.Repeat("x", maxBody) + `"}`, "the body has more than 524288 bytes", 413},
		{"/unsubscribe", `{"channel":"c","all":"true"}`, "all has to be true or false", 400},
		{"/unsubscribe", `{"channel":"c","ID":"a"}`, `there is no field "ID"; there are "all", "channel", "id" and "user"`, 400},
		{"/log-level", `{"Level":"debug"}`, `there is no field "Level"; there is "level"`, 400},
		{"/unsubscribe", `{"id":"a"}`, "channel is missing", 400},
		{"/unsubscribe", `{"user":"ann","channel":" \u0000wsify/user/ann"}`, "must not begin with U+0000", 400},
		{"/kick", `{"channel":"\u0000wsify/user/ann"}`, "must not begin with U+0000", 400},
		{"/unsubscribe", `{"channel":"c"}`, `give an id, a user, or "all":true`, 400},
		{"/unsubscribe", `{"channel":"c","all":false}`, `give an id, a user, or "all":true`, 400},
		{"/unsubscribe", `{"channel":"c","id":"a","user":"ann"}`, `give an id, a user, or "all":true`, 400},
		{"/unsubscribe", `{"channel":"c","id":"a","all":true}`, `give an id, a user, or "all":true`, 400},
	} {
		f := &fake{}
		w := do(newAPI("k3y", true, f), "POST", tc.target, tc.body, bearer, "Content-Type: application/json")
		if got := errorOf(t, w); w.Code != tc.status || !strings.Contains(got.Message, tc.want) || f.asked != "" {
			t.Errorf("POST %s %.60s: %d %+v, want %d and %q; the server was asked %q", tc.target, tc.body, w.Code, got, tc.status, tc.want, f.asked)
		}
	}
}

func TestAnotherMethodGetsThoseThatThereAre(t *testing.T) {
	const reads = "GET, HEAD"
	for path, allow := range map[string]string{
		"/kick": "POST", "/unsubscribe": "POST", "/log-level": "POST", "/drain": "POST, DELETE", "/reload": "POST",
		"/channels": reads, "/channels/a": reads, "/connections": reads, "/connections/a": reads,
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "POST", "DELETE", "OPTIONS"} {
			if strings.Contains(allow, method) {
				continue
			}
			f := &fake{}
			w := do(newAPI("k3y", true, f), method, path, "", bearer)
			if got := errorOf(t, w); w.Code != 405 || got.Code != "method_not_allowed" || got.Message != "the method has to be "+strings.ReplaceAll(allow, ", ", " or ") || w.Header().Get("Allow") != allow || f.asked != "" {
				t.Errorf("%s %s: %d %+v, Allow: %s, the server was asked %q; want 405 and %s", method, path, w.Code, got, w.Header().Get("Allow"), f.asked, allow)
			}
		}
	}
}

// A path that is nearly right gets an answer that a program can read.
func TestAPathThatIsNearlyRightIsNotFound(t *testing.T) {
	for _, path := range []string{"/channels/", "/channels/a/b", "/connections/", "/kick/", "/drain/now"} {
		for _, method := range []string{"GET", "POST"} {
			f := &fake{}
			w := do(newAPI("k3y", true, f), method, path, "", bearer)
			if got := errorOf(t, w); w.Code != 404 || got.Code != "not_found" || f.asked != "" {
				t.Errorf("%s %s: %d %+v, the server was asked %q; want 404", method, path, w.Code, got, f.asked)
			}
		}
	}
}

// A form of a web page can send three types of bodies without asking, none of which is JSON.
func TestABodyThatIsNotJSONByItsTypeChangesNothing(t *testing.T) {
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"} {
		f := &fake{}
		w := do(newAPI("k3y", true, f), "POST", "/kick", `{"id":"a"}`, bearer, "Content-Type: "+kind)
		if w.Code != 415 || f.asked != "" {
			t.Errorf("Content-Type %q: %d, the server was asked %q; want 415", kind, w.Code, f.asked)
		}
	}
}

func TestAChangeThatIsNotDoneEverywhereIsNoSuccess(t *testing.T) {
	for _, tc := range []struct {
		f    *fake
		want string
	}{
		{&fake{carried: Carried{2, "unreachable"}}, `{"here":2,"nodes":"unreachable","error":{"code":"broker_down",`},
		{&fake{carried: Carried{2, "unknown"}}, `{"here":2,"nodes":"unknown","error":{"code":"broker_down",`},
		{&fake{carried: Carried{2, NodesTold}, err: errors.New("late: event loop 1")}, `{"here":2,"nodes":"told","error":{"code":"timeout","message":"late: event loop 1; it goes on"}`},
	} {
		w := do(newAPI("k3y", true, tc.f), "POST", "/kick", `{"id":"a"}`, bearer, "Content-Type: application/json")
		if w.Code != 503 || !strings.HasPrefix(w.Body.String(), tc.want) || w.Header().Get("Retry-After") != "5" {
			t.Errorf("%d %s, want 503 %s", w.Code, w.Body, tc.want)
		}
	}
}
