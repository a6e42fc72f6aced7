package test

import (
	"io"
	"testing"
)

// dialNPM returns a client on npm's ws, in a separate process.
func dialNPM(t *testing.T, url string) *client {
	t.Helper()
	p := start(t, npmDir(t), nil, "node", "client.mjs", url)
	return &client{t: t, name: "npm ws", events: p.out, send: func(text string) {
		if _, err := io.WriteString(p.in, text+"\n"); err != nil {
			t.Errorf("send %s: %v", text, err)
		}
	}}
}

func TestNPMClientJoinsBroadcastsAndHears(t *testing.T) {
	s := serve(t)
	a, b := dialNPM(t, s.ws()), dialNPM(t, s.ws())
	a.expect("open")
	b.expect("open")
	a.join("news")
	b.join("news")
	a.send(`{"command":"broadcast","args":{"channel":"news","content":{"n":12345678901234567890,"text":"ü\u00fc"}}}`)
	a.expect(`message {"n":12345678901234567890,"text":"ü\u00fc"}`)
	b.expect(`message {"n":12345678901234567890,"text":"ü\u00fc"}`)
	b.ask(`{"command":"leave","args":{"channel":"news"},"id":2}`, `message {"id":2,"ok":true}`)
	a.ask(`{"command":"broadcast","args":{"channel":"news"}}`, "message null")
	b.ask(`{"command":"shout","id":3}`, `message {"id":3,"ok":false,"error":{"code":"unknown_command","message":"the commands are join, leave and broadcast"}}`)
}
