package session

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestTheDropPolicySkipsNothingInAChannelWithHistory for who is told of gaps: it is closed, and gets the
// rest when it comes back. A raw member stays, and what it misses is counted.
func TestTheDropPolicySkipsNothingInAChannelWithHistory(t *testing.T) {
	for _, test := range []struct {
		name, header, channel string
		closed                bool
	}{
		{"envelope", offer, "h", true},
		{"envelope, without history", offer, "c", false},
		{"raw", "X-Plain: yes", "h", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := start(t, keepHistory(Config{WriteQueueSize: 64 << 10, DropSlow: true}, 1000, 64<<20))
			slow, quick := connect(t, srv, "/ws", test.header), connect(t, srv, "/ws")
			slow.joinFrom(test.channel, "")
			quick.joinFrom(test.channel, "")
			var want []string
			for srv.Stats().Dropped["slow_consumer"] == 0 {
				want = append(want, numbered(len(want)))
				quick.broadcast(test.channel, want[len(want)-1])
				quick.expectText(want[len(want)-1])
				settle(t, srv)
			}
			if !test.closed {
				slow.sync()
				return
			}
			var got []string
			var position string
			hear := func(text string) {
				var m struct {
					Position string
					Content  json.RawMessage
				}
				if err := json.Unmarshal([]byte(text), &m); err != nil {
					t.Fatal(err)
				}
				got, position = append(got, string(m.Content)), m.Position
			}
			f, err := slow.next()
			for ; err == nil && f.op == opText; f, err = slow.next() {
				hear(f.payload)
			}
			if err != nil || closeCode(f) != 4001 {
				t.Fatalf("got %v, error %v, want close 4001", f, err)
			}
			missed, _ := connect(t, srv, "/ws", test.header).joinFrom("h", sincePosition(position))
			for _, text := range missed {
				hear(text)
			}
			if !slices.Equal(got, want) {
				t.Errorf("heard %d publications, %d of them late, want %d, each once", len(got), len(missed), len(want))
			}
		})
	}
}
