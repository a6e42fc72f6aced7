package session

import (
	"fmt"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// TestCommandsTakeEffectInTheOrderSent sends joins, broadcasts and leaves of one
// channel in one write. The sender receives its broadcasts between a join and a leave,
// and none after a leave.
func TestCommandsTakeEffectInTheOrderSent(t *testing.T) {
	t.Run("alone", func(t *testing.T) {
		p := connect(t, start(t, Config{}), "/ws")
		joinSpeakLeave(p)
		for i := range rounds {
			p.expectText(spoken("between", i))
		}
		p.expectNothing()
	})
	t.Run("among others", func(t *testing.T) {
		srv := start(t, Config{})
		var others [4]*peer
		for i := range others {
			others[i] = connect(t, srv, "/ws")
			others[i].join("c")
		}
		p := connect(t, srv, "/ws")
		joinSpeakLeave(p)
		for _, other := range others {
			for i := range rounds {
				other.expectText(spoken("before", i), spoken("between", i), spoken("behind", i))
			}
		}
		for i := range rounds {
			p.expectText(spoken("between", i))
		}
		p.expectNothing()
	})
}

const rounds = 500

func spoken(when string, i int) string { return fmt.Sprintf(`"%s %d"`, when, i) }

func joinSpeakLeave(p *peer) {
	p.t.Helper()
	var all strings.Builder
	for i := range rounds {
		say := func(when string) string {
			return message(`{"command":"broadcast","args":{"channel":"c","content":` + spoken(when, i) + `}}`)
		}
		all.WriteString(say("before") + message(`{"command":"join","args":{"channel":"c"}}`) +
			say("between") + message(`{"command":"leave","args":{"channel":"c"}}`) + say("behind"))
	}
	p.write(all.String())
}

// TestMembersSeeOneOrder: two peers publish at once, on different loops; every
// member gets the same sequence, and each publisher's own order is kept in it.
func TestMembersSeeOneOrder(t *testing.T) {
	const each = 300
	srv := start(t, Config{})
	members := make([]*peer, 4)
	for i := range members {
		members[i] = connect(t, srv, "/ws")
		members[i].join("c")
	}
	for i := range 2 {
		p := connect(t, srv, "/ws")
		var all strings.Builder
		for n := range each {
			fmt.Fprintf(&all, "%s", message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":[%d,%d]}}`, i, n)))
		}
		p.write(all.String())
	}
	first := readTexts(t, members[0], 2*each)
	for i, m := range members[1:] {
		if got := readTexts(t, m, 2*each); strings.Join(got, " ") != strings.Join(first, " ") {
			t.Errorf("member %d got another order than member 0:\n%s\n%s", i+1, got, first)
		}
	}
	var next [2]int
	for _, text := range first {
		var by, n int
		if _, err := fmt.Sscanf(text, "[%d,%d]", &by, &n); err != nil || n != next[by] {
			t.Fatalf("got %s, want number %d of publisher %d", text, next[by], by)
		}
		next[by]++
	}
}

// readTexts reads n text messages.
func readTexts(t *testing.T, p *peer, n int) []string {
	t.Helper()
	texts := make([]string, n)
	for i := range texts {
		f, err := p.next()
		if err != nil || f.op != opText {
			t.Fatalf("message %d: got %v, error %v; want text", i, f, err)
		}
		texts[i] = f.payload
	}
	return texts
}

// TestContentArrivesByteForByte sends content that decoding and encoding again would
// change.
func TestContentArrivesByteForByte(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	for _, content := range []string{
		`12345678901234567890`, `1.0`, `1e3`, `-0`, `1E+400`, `0.1000`, `null`, `true`, `""`,
		`{"b":1,"a":2,"b":3}`, `[ 1 , 2 ]`, "{ \"a\"\t:\n1 }", `"\u00e9\/\u2028<>&"`, `"é ☃ 𝄞"`, `"\ud800"`,
		`"` + strings.Repeat("x", 60<<10) + `"`, `[` + strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500) + `]`,
	} {
		p.broadcast("c", content)
		p.expectText(content)
		post201(t, srv, "c", content)
		p.expectText(content)
	}
}

// TestUnknownArgsReachTheAuthorizerVerbatim compares args byte for byte.
func TestUnknownArgsReachTheAuthorizerVerbatim(t *testing.T) {
	hook := newWebhook(t, nil)
	p := connect(t, start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join"}}), "/ws")
	for i, args := range []string{
		`{"channel":"c","token":"s e c r e t","n":12345678901234567890}`,
		`{ "z" : [ 1.0, {"b":1,"a":2} ] , "channel" : "  c  " }`,
		`{"x":"first","channel":"c","\u0061":"\u0062","x":{"Channel":1}}`,
	} {
		p.send(fmt.Sprintf(`{"id":%d, "x":[], "args":%s ,"command":"join"}`, i, args))
		p.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i))
		asked := hook.questions("join")
		if got, want := asked[len(asked)-1].body, `{"command":"join","args":`+args+`}`; got != want {
			t.Errorf("the authorizer was asked\n%s, want\n%s", got, want)
		}
	}
}

// TestBadMessagesAreCountedAndIgnored: without an id there is no answer, and the
// connection stays.
func TestBadMessagesAreCountedAndIgnored(t *testing.T) {
	srv := start(t, Config{MaxChannelsPerConnection: 1, MaxChannelLength: 6})
	p := connect(t, srv, "/ws")
	for _, bad := range []string{
		``, ` `, `[]`, `7`, `"join"`, `null`, `{`, `{}`, `{"command":"join"}`, `{"command":"join","args":{"channel":" "}}`,
		`{"command":"join","args":{"channel":"a"}`, `{"command":"join","args":{"channel":"a"}}{}`,
		`{"command":"fly","args":{"channel":"a"}}`, `{"command":"join","args":{"channel":"abcdefg"}}`,
		`{"command":"broadcast","args":{"channel":"a","content":01}}`,
	} {
		p.send(bad)
	}
	p.expectNothing()
	got := srv.Stats().NotDone
	if got["bad_request"] != 13 || got["unknown_command"] != 1 || got["limit"] != 1 {
		t.Errorf("Stats().NotDone = %v, want 13 bad_request, 1 unknown_command, 1 limit", got)
	}
	p.usable()
}

// TestBinaryMessages: JSON in UTF-8 is accepted like text, anything else is 1003.
func TestBinaryMessages(t *testing.T) {
	srv := start(t, Config{})
	good := connect(t, srv, "/ws")
	good.write(masked(0x80|opBinary, `{"command":"join","args":{"channel":"ü"},"id":"é"}`))
	good.expectText(`{"id":"é","ok":true}`)
	good.write(masked(opBinary, `{"command":"broadcast","args":{"chan`) + masked(0x80|opContinuation, `nel":"ü","content":1}}`))
	good.expectText(`1`)
	good.write(masked(0x80|opBinary, `["JSON, but no command"]`))
	good.expectNothing()
	for _, bad := range []string{"", "\x00", "\xff", `{"command":"join"`, `{"command":"join","args":{"channel":"` + "\xff" + `"}}`, "hello"} {
		p := connect(t, srv, "/ws")
		p.write(masked(0x80|opBinary, bad))
		p.expectClose(1003)
	}
	testtool.Until(t, "six are counted as unsupported data", func() bool { return srv.Stats().Closed["unsupported_data"] == 6 })
}

// TestCloseCodes: a peer's error closes the connection with the code from CONTRACT and
// RFC 6455, section 7.4.1. Other codes have tests of their own: 1012, 1013, 4001,
// 4002.
func TestCloseCodes(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 1000})
	for _, c := range []struct {
		name   string
		input  string
		want   int
		reason string
	}{
		{"1000 is echoed", closing(1000, "bye"), 1000, "client_close"},
		{"an empty close is echoed", closing(0, ""), 0, "client_close"},
		{"1001 is echoed", closing(1001, ""), 1001, "client_close"},
		{"an application's code is echoed", closing(4999, "mine"), 4999, "client_close"},
		{"1005 never travels", closing(1005, ""), 1002, "protocol_error"},
		{"a code out of range", closing(999, ""), 1002, "protocol_error"},
		{"a close of one byte", masked(0x80|opClose, "\x03"), 1002, "protocol_error"},
		{"a close reason that is not UTF-8", closing(1000, "\xff"), 1007, "invalid_utf8"},
		{"a frame without mask", "\x81\x02{}", 1002, "protocol_error"},
		{"a reserved bit", masked(0xC0|opText, "{}"), 1002, "protocol_error"},
		{"a reserved opcode", masked(0x83, "{}"), 1002, "protocol_error"},
		{"a ping in fragments", masked(opPing, "x"), 1002, "protocol_error"},
		{"a long ping", masked(0x80|opPing, strings.Repeat("x", 126)), 1002, "protocol_error"},
		{"a continuation of nothing", masked(0x80|opContinuation, "{}"), 1002, "protocol_error"},
		{"a message within a message", masked(opText, "{") + masked(0x80|opText, "}"), 1002, "protocol_error"},
		{"a length that is not minimal", "\x81\xfe\x00\x02\x00\x00\x00\x00{}", 1002, "protocol_error"},
		{"text that is not UTF-8", message("\xc3\x28"), 1007, "invalid_utf8"},
		{"binary that is not JSON", masked(0x80|opBinary, "\x01"), 1003, "unsupported_data"},
		{"a message that is too big", message(strings.Repeat(" ", 1001)), 1009, "message_too_big"},
		{"fragments that are too big", masked(opText, strings.Repeat(" ", 600)) + masked(0x80|opContinuation, strings.Repeat(" ", 600)), 1009, "message_too_big"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := srv.Stats().Closed[c.reason]
			p := connect(t, srv, "/ws")
			// Input before the error is answered, input after it is not.
			p.write(message(`{"command":"join","args":{"channel":"c"},"id":1}`) + c.input + message(`{"command":"join","args":{"channel":"d"},"id":2}`))
			p.expectText(`{"id":1,"ok":true}`)
			p.expectClose(c.want)
			testtool.Until(t, "counted as "+c.reason, func() bool { return srv.Stats().Closed[c.reason] == before+1 })
		})
	}
}

// TestBrokerDown: if the broker cannot take a publication, a client with an id gets an
// error and a backend 503. Both are counted.
func TestBrokerDown(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	if err := srv.broker.Close(); err != nil {
		t.Fatal(err)
	}
	p.send(`{"command":"broadcast","args":{"channel":"c","content":1},"id":1}`)
	p.expectText(`{"id":1,"ok":false,"error":{"code":"broker_down","message":"the broker is unreachable: not published"}}`)
	p.broadcast("c", "2")
	p.expectNothing()
	res := post(t, srv, "/broadcast", `{"channel":"c","content":3}`)
	if res.status != 503 || res.header.Get("Retry-After") == "" || !strings.Contains(res.body, "not published") {
		t.Errorf("POST /broadcast: %+v, want 503 with Retry-After and a reason", res)
	}
	if got := srv.Stats().Dropped["broker_down"]; got != 3 {
		t.Errorf("Stats().Dropped[broker_down] = %d, want 3", got)
	}
	p.expectNothing()
}
