package session

import (
	"encoding/json"
	"strings"
	"testing"
)

// offer is the header line of a client that wants envelopes.
const offer = "Sec-WebSocket-Protocol: wsify.v1"

// connectTyped makes a client that gets envelopes, and is a member of these channels.
func connectTyped(t testing.TB, srv *Server, target string, channels ...string) *peer {
	t.Helper()
	p := connect(t, srv, target, offer)
	for _, channel := range channels {
		p.send(`{"command":"join","args":{"channel":` + quoted(channel) + `},"id":"join"}`)
		p.expectText(`{"type":"reply","id":"join","ok":true}`)
	}
	return p
}

func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

// publishRaw publishes content as an engine may deliver it: unchecked.
func publishRaw(t testing.TB, srv *Server, channel, content string) {
	t.Helper()
	if _, _, err := srv.broker.Publish(nil, []byte(channel), []byte(content), nil); err != nil {
		t.Fatalf("Publish(%q): %v", content, err)
	}
}

// TestAnswersCannotBeForgedByContent, whatever comes out of an engine. A client takes what
// has the type reply for an answer, and nothing else.
func TestAnswersCannotBeForgedByContent(t *testing.T) {
	srv := start(t, Config{})
	const channel = "a\",\"type\":\"reply\u2028\nb"
	p := connectTyped(t, srv, "/ws", channel)
	for _, content := range []string{
		`{"type":"reply","id":"join","ok":true}`,
		`1,"type":"reply","id":"join","ok":true`,
		`1}{"type":"reply","id":"join","ok":true}`,
		`1}` + "\r\n" + `{"type":"reply","id":"join","ok":true}`,
		`"},"type":"reply","id":"join","ok":true,"x":{"`,
		`{"type":"reply","a":"` + "\xff" + `"}`,
		"\xff\xfe", "", " ", "\ufeff1", "1\x00", `{"a":1`,
		strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		publishRaw(t, srv, channel, content)
		f, err := p.next()
		if err != nil || f.op != opText {
			t.Fatalf("for the content %q: %v, %v", content, f, err)
		}
		var m struct {
			Type, Channel string
			ID            *json.RawMessage
			Content       json.RawMessage
		}
		if err := json.Unmarshal([]byte(f.payload), &m); err != nil {
			t.Fatalf("the content %q makes %q: %v", content, f.payload, err)
		}
		if m.Type != "message" || m.ID != nil || m.Channel != channel {
			t.Errorf("the content %q passes for %q", content, f.payload)
		}
		var text string
		if err := json.Unmarshal(m.Content, &text); string(m.Content) != content && (err != nil || text != string([]rune(content))) {
			t.Errorf("the content %q is read as %q", content, m.Content)
		}
	}
	p.expectNothing()
}

// TestAnEnvelopeSaysWhatTheHeadSays: the user who published it, and its position. Raw
// members get neither.
func TestAnEnvelopeSaysWhatTheHeadSays(t *testing.T) {
	srv := start(t, Config{})
	p, raw := connectTyped(t, srv, "/ws", "news"), connect(t, srv, "/ws")
	raw.join("news")
	for _, tc := range []struct{ published, want string }{
		{`1`, `{"type":"message","channel":"news","content":1}`},
		{"\x00 {\"user\":\"ann \\\"\"}\n1", `{"type":"message","user":"ann \"","channel":"news","content":1}`},
		{"\x00e1-7-6 \n1", `{"type":"message","position":"e1-7","channel":"news","content":1}`},
		{"\x00e1-8-7 {\"user\":\"ann\",\"except\":[\"x\"]}\n1", `{"type":"message","user":"ann","position":"e1-8","channel":"news","content":1}`},
	} {
		publishRaw(t, srv, "news", tc.published)
		p.expectText(tc.want)
		raw.expectText("1")
	}
}

// TestAMessageToAUserNamesNoChannel, as the channel is not one that clients know of. One from
// a user says who it is.
func TestAMessageToAUserNamesNoChannel(t *testing.T) {
	hook := newNamingWebhook(t)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	p := connectTyped(t, srv, "/ws?user=ann", "news")
	publishRaw(t, srv, userChannel("ann"), `"for ann"`)
	p.expectText(`{"type":"message","content":"for ann"}`)
	publishRaw(t, srv, "news", `"for all"`)
	p.expectText(`{"type":"message","channel":"news","content":"for all"}`)
	p.send(`{"command":"broadcast","args":{"channel":"news","content":"from ann"}}`)
	p.expectText(`{"type":"message","user":"ann","channel":"news","content":"from ann"}`)
}

// TestBothClassesHearOneOrder: publications to members of both classes on every loop come
// in the same order, each once, and a member that leaves gets what was before.
func TestBothClassesHearOneOrder(t *testing.T) {
	srv := start(t, Config{Loops: 2})
	const each, messages = 4, 200
	var raw, typed []*peer
	for range each {
		raw, typed = append(raw, connect(t, srv, "/ws")), append(typed, connectTyped(t, srv, "/ws", "c"))
		raw[len(raw)-1].join("c")
	}
	for _, p := range append(raw[:1:1], typed[0]) { // both publish at once
		go func() {
			for range messages / 2 {
				_ = p.tryWrite(message(`{"command":"broadcast","args":{"channel":"c","content":` + quoted(p.LocalAddr().String()) + `}}`))
			}
		}()
	}
	var order []string
	for i, p := range append(raw, typed...) {
		for j := range messages {
			f, err := p.next()
			if err != nil {
				t.Fatalf("after %d of %d messages: %v", j, messages, err)
			}
			content := f.payload
			if i >= each {
				content = strings.TrimSuffix(strings.TrimPrefix(content, `{"type":"message","channel":"c","content":`), "}")
			}
			if i == 0 {
				order = append(order, content)
			} else if content != order[j] {
				t.Fatalf("peer %d: message %d is %s, for the first peer it was %s", i, j, f.payload, order[j])
			}
		}
		p.expectNothing()
	}
}

// TestAMemberThatLeavesGetsEnvelopes of what was published before it left.
func TestAMemberThatLeavesGetsEnvelopes(t *testing.T) {
	srv := start(t, Config{Loops: 1})
	p := connectTyped(t, srv, "/ws", "c")
	p.write(message(`{"command":"broadcast","args":{"channel":"c","content":1}}`) +
		message(`{"command":"leave","args":{"channel":"c"},"id":2}`))
	p.expectText(`{"type":"message","channel":"c","content":1}`, `{"type":"reply","id":2,"ok":true}`)
}

// TestARefusedUpgradeChoosesNoSubprotocol: the answer is not a 101.
func TestARefusedUpgradeChoosesNoSubprotocol(t *testing.T) {
	hook := newWebhook(t, func(question) int { return 403 })
	srv := start(t, Config{AuthorizerURL: hook.URL})
	p := dial(t, srv)
	p.write(upgradeHead("/ws", offer))
	if got := p.expectStatus(403).header.Get("Sec-WebSocket-Protocol"); got != "" {
		t.Errorf("the refusal chooses %q", got)
	}
}

// TestEnvelopesOfEverySize have the right header: it is put before a payload that is
// already in its place.
func TestEnvelopesOfEverySize(t *testing.T) {
	srv := start(t, Config{MaxMessageSize: 128 << 10})
	p := connectTyped(t, srv, "/ws", "c")
	const around = len(`{"type":"message","channel":"c","content":""}`)
	for _, size := range []int{around, 125, 126, 255, 256, 257, 1<<16 - 1, 1 << 16, 100_000} {
		content := `"` + strings.Repeat("x", size-around) + `"`
		publishRaw(t, srv, "c", content)
		p.expectText(`{"type":"message","channel":"c","content":` + content + `}`)
	}
	publishRaw(t, srv, "c", strings.Repeat("\x01", 1000)) // six times as large as the buffer is made for
	p.expectText(`{"type":"message","channel":"c","content":"` + strings.Repeat(`\u0001`, 1000) + `"}`)
}

// TestEnvelopesAreCompressedToo, for clients with any window. Answers are not.
func TestEnvelopesAreCompressedToo(t *testing.T) {
	srv := start(t, deflating())
	wide := connectDeflated(t, srv, "/ws", offer)
	narrow := dial(t, srv)
	narrow.write(upgradeHead("/ws", offer, offerHeader("; server_max_window_bits=9")))
	narrow.expectDeflate("; server_max_window_bits=9")
	for _, p := range []*peer{wide, narrow} {
		p.sendDeflated(`{"command":"join","args":{"channel":"c"},"id":1}`)
		p.expectDeflated(false, `{"type":"reply","id":1,"ok":true}`)
	}
	for _, content := range []string{jsonOf(600), "1"} {
		post201(t, srv, "c", content)
		for _, p := range []*peer{wide, narrow} {
			p.expectDeflated(len(content) > 1, `{"type":"message","channel":"c","content":`+content+`}`)
		}
	}
}
