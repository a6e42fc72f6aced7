package clients

import (
	"slices"
	"strings"
	"testing"
)

func TestMembersHearWhatIsBroadcast(t *testing.T) {
	each(t, nil, func(_ *testing.T, _ *server, dial func(offer) *client) {
		a, b := dial(offer{}), dial(offer{})
		a.join("news")
		b.join("news")
		a.join("news") // a second time
		a.say(`{"command":"broadcast","args":{"channel":" news ","content":{"big":18446744073709551615,"b":1,"a":1e2}}}`)
		for _, c := range []*client{a, b} {
			c.expect(`message {"big":18446744073709551615,"b":1,"a":1e2}`)
		}
		b.ask(`{"command":"leave","args":{"channel":"news"},"id":"bye"}`, `message {"id":"bye","ok":true}`)
		a.ask(`{"command":"broadcast","args":{"channel":"news"}}`, "message null")
		b.ask(`{"command":"leave","args":{"channel":"news"},"id":"again"}`, `message {"id":"again","ok":true}`)
	})
}

func TestAnIDIsAnswered(t *testing.T) {
	each(t, []string{"-max-channel-length", "8", "-max-channels-per-connection", "1"}, func(_ *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{})
		c.join("news")
		for text, want := range map[string]string{
			`{"command":"join","args":{"channel":"other"},"id":-1.5e3}`:        `{"id":-1.5e3,"ok":false,"error":{"code":"limit","message":"this connection is a member of too many channels"}}`,
			`{"command":"join","args":{"channel":"very long"},"id":"l\u00f6"}`: `{"id":"l\u00f6","ok":false,"error":{"code":"limit","message":"the channel name is too long"}}`,
			`{"command":"shout","args":{},"id":1}`:                             `{"id":1,"ok":false,"error":{"code":"unknown_command","message":"the commands are join, leave and broadcast"}}`,
			`{"id":2}`:                                                         `{"id":2,"ok":false,"error":{"code":"bad_request","message":"command is missing"}}`,
			`{"command":"broadcast","args":{"channel":"nobody's"},"id":3}`:     `{"id":3,"ok":true}`,
			`{"command":"leave","args":{"channel":7},"id":4}`:                  `{"id":4,"ok":false,"error":{"code":"bad_request","message":"channel must be a string"}}`,
			`{"command":"broadcast","args":{"channel":"news"},"id":5`:          "",
			`{}`: "",
			`[]`: "",
		} {
			c.say(text)
			if want != "" {
				c.expect("message " + want)
			}
		}
		c.ask(`{"command":"broadcast","args":{"channel":"news","content":"still here"}}`, `message "still here"`)
	})
}

func TestMessagesUpToTheLimit(t *testing.T) {
	each(t, nil, func(t *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{})
		c.join("big")
		const head, tail, limit = `{"command":"broadcast","args":{"channel":"big","content":"`, `"}}`, 64 << 10
		content := strings.Repeat("ü", (limit-len(head)-len(tail))/2)
		c.ask(head+content+tail, `message "`+content+`"`)
		const pieces = 2000 // coder makes each a fragment, gorilla joins some
		parts := slices.Repeat([][]byte{[]byte("y")}, pieces)
		if err := c.sendParts(slices.Concat([][]byte{[]byte(head)}, parts, [][]byte{[]byte(tail)})...); err != nil {
			t.Fatal(err)
		}
		c.expect(`message "` + strings.Repeat("y", pieces) + `"`)
		if err := c.sendText([]byte(strings.Repeat(" ", limit+1))); err != nil {
			t.Logf("the server closed while it was sent to: %v", err)
		}
		c.expectClose(1009)
	})
}

func TestCloseCodes(t *testing.T) {
	each(t, nil, func(t *testing.T, s *server, dial func(offer) *client) {
		for _, code := range []int{1000, 1001, 3000, 4999} {
			c := dial(offer{})
			if err := c.close(code, "bye"); err != nil {
				t.Errorf("close %d: %v", code, err)
			}
			c.expectClose(code)
		}
		c := dial(offer{})
		if err := c.sendBinary([]byte(`{"command":"join","args":{"channel":"binary"},"id":1}`)); err != nil {
			t.Fatal(err)
		}
		c.expect(`message {"id":1,"ok":true}`)
		if err := c.sendBinary([]byte{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		c.expectClose(1003)
		c = dial(offer{})
		c.say(`{"command":"join","args":{"channel":"` + "\xff" + `"},"id":1}`)
		c.expectClose(1007)
		c = dial(offer{})
		s.terminate()
		c.expect("close 1012 this node restarts, reconnect")
	})
}

func TestOffersAreDeclined(t *testing.T) {
	each(t, nil, func(t *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{subprotocols: []string{"chat", "superchat"}, compression: true})
		if got := c.chosen(); got != "" {
			t.Errorf("subprotocol %q, and nothing asks for one", got)
		}
		for _, name := range []string{"Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
			if got := c.answer.Header.Values(name); got != nil {
				t.Errorf("%s: %q, want none", name, got)
			}
		}
		c.join("plain")
		text := strings.Repeat("compressible ", 1000)
		c.ask(`{"command":"broadcast","args":{"channel":"plain","content":"`+text+`"}}`, `message "`+text+`"`)
	})
}

func TestOffersOfCompressionAreAcceptedWhereItIsOn(t *testing.T) {
	each(t, []string{"-compression", "on", "-compression-min-size", "1"}, func(t *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{compression: true})
		if got := c.answer.Header.Values("Sec-Websocket-Extensions"); len(got) != 1 || !strings.HasPrefix(got[0], "permessage-deflate;") {
			t.Fatalf("Sec-WebSocket-Extensions: %q, want permessage-deflate", got)
		}
		c.join("news")
		for _, text := range []string{"", "a", strings.Repeat("compressible ", 4000)} {
			c.ask(`{"command":"broadcast","args":{"channel":"news","content":"`+text+`"}}`, `message "`+text+`"`)
		}
	})
}

func TestPingsAreAnswered(t *testing.T) {
	each(t, []string{"-ping-interval", "0"}, func(t *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{})
		if err := c.ping(); err != nil {
			t.Fatal(err)
		}
		c.expect("pong there?")
		c.join("news")
	})
}

func TestSilentClientsArePingedAndStay(t *testing.T) {
	each(t, []string{"-ping-interval", "50ms", "-pong-timeout", "10s"}, func(_ *testing.T, _ *server, dial func(offer) *client) {
		c := dial(offer{})
		c.expect("ping")
		c.expect("ping")
		c.expect("ping")
		c.say(`{"command":"join","args":{"channel":"news"},"id":1}`)
		for got := range c.events {
			if got == `message {"id":1,"ok":true}` {
				break
			} else if got != "ping" {
				c.t.Fatalf("got %s, want the answer", got)
			}
		}
	})
}
