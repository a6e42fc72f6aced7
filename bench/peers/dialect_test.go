package peers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// dialect is how a client says things to a server, and understands it.
type dialect struct {
	path    string
	hello   []byte // the first message, answered like a request with id 1; nil for none
	join    func(id int, channel string) []byte
	leave   func(id int, channel string) []byte
	publish func(id int, channel, content string) []byte
	read    func(line []byte) (reply, error)
	pong    []byte // answers a ping that is a message; nil for none
}

// reply is what one line of a server's message means.
type reply struct {
	id      int    // of the request it answers, 0 for none
	content []byte // of a publication, nil for none
	ping    bool
}

// wsify is the protocol of wsify: each publication is a message and nothing more,
// so an answer is known by being an object with an id and an ok.
var wsify = dialect{
	path: "/ws",
	join: func(id int, channel string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"command":"join","args":{"channel":%q}}`, id, channel)
	},
	leave: func(id int, channel string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"command":"leave","args":{"channel":%q}}`, id, channel)
	},
	publish: func(id int, channel, content string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"command":"broadcast","args":{"channel":%q,"content":%s}}`, id, channel, content)
	},
	read: func(line []byte) (reply, error) {
		var answer struct {
			ID *int
			OK *bool
		}
		if json.Unmarshal(line, &answer) != nil || answer.ID == nil || answer.OK == nil {
			return reply{content: line}, nil
		}
		if !*answer.OK {
			return reply{}, fmt.Errorf("refused: %s", line)
		}
		return reply{id: *answer.ID}, nil
	},
}

// centrifugal is the JSON protocol of Centrifuge and Centrifugo. One message may
// hold several replies, a line each.
var centrifugal = dialect{
	path:  "/connection/websocket",
	hello: []byte(`{"id":1,"connect":{}}`),
	join: func(id int, channel string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"subscribe":{"channel":%q}}`, id, channel)
	},
	leave: func(id int, channel string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"unsubscribe":{"channel":%q}}`, id, channel)
	},
	publish: func(id int, channel, content string) []byte {
		return fmt.Appendf(nil, `{"id":%d,"publish":{"channel":%q,"data":%s}}`, id, channel, content)
	},
	read: func(line []byte) (reply, error) {
		var r struct {
			ID    int
			Error json.RawMessage
			Push  struct {
				Pub struct{ Data json.RawMessage }
			}
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return reply{}, fmt.Errorf("%q: %w", line, err)
		}
		if r.Error != nil {
			return reply{}, fmt.Errorf("refused: %s", line)
		}
		return reply{id: r.ID, content: r.Push.Pub.Data, ping: bytes.Equal(line, []byte("{}"))}, nil
	},
	pong: []byte("{}"),
}
