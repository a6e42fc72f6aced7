//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strings"
)

// dialect is how clients talk to a server: the messages inside its frames, and
// where they go.
type dialect struct {
	name  string
	path  string // of the upgrade
	hello []byte // opens a session before anything else, and is answered; nil for none

	join      func(channel string) []byte // is answered once the member is in
	joined    []byte                      // what an answer that says yes contains
	leave     func(channel string) []byte
	broadcast func(channel string, content []byte) []byte

	// delivered is how many bytes the message has that brings n bytes of content.
	delivered func(channel string, n int) int
	// lead is how many bytes of it come before the content.
	lead func(channel string) int

	// lines: a message is several JSON objects, a line each. Those that begin with
	// push bring content, beat asks for a sign of life and is sent back, others answer.
	lines      bool
	push, beat []byte
}

var dialects = []*dialect{wsifyDialect, centrifugeDialect}

// wsifyDialect is that of the product, and of peers that were given it.
var wsifyDialect = &dialect{
	name: "wsify",
	path: "/ws",
	join: func(channel string) []byte {
		return fmt.Appendf(nil, `{"id":1,"command":"join","args":{"channel":%q}}`, channel)
	},
	joined: []byte(`"ok":true`),
	leave: func(channel string) []byte {
		return fmt.Appendf(nil, `{"command":"leave","args":{"channel":%q}}`, channel)
	},
	broadcast: func(channel string, content []byte) []byte {
		return fmt.Appendf(nil, `{"command":"broadcast","args":{"channel":%q,"content":%s}}`, channel, content)
	},
	delivered: func(_ string, n int) int { return n },
	lead:      func(string) int { return 0 },
}

// centrifugeDialect is the JSON protocol of centrifugal/centrifuge, as
// bench/peers/README.md describes it.
var centrifugeDialect = &dialect{
	name:  "centrifuge",
	path:  "/connection/websocket",
	hello: []byte(`{"id":1,"connect":{}}`),
	join: func(channel string) []byte {
		return fmt.Appendf(nil, `{"id":2,"subscribe":{"channel":%q}}`, channel)
	},
	joined: []byte(`"subscribe":{`),
	leave: func(channel string) []byte {
		return fmt.Appendf(nil, `{"id":3,"unsubscribe":{"channel":%q}}`, channel)
	},
	broadcast: func(channel string, content []byte) []byte {
		return fmt.Appendf(nil, `{"id":4,"publish":{"channel":%q,"data":%s}}`, channel, content)
	},
	delivered: func(channel string, n int) int { return len(centrifugePush(channel)) + n + len("}}}") },
	lead:      func(channel string) int { return len(centrifugePush(channel)) },
	lines:     true,
	push:      []byte(`{"push"`),
	beat:      []byte(`{}`),
}

// centrifugePush is what comes before the content of a push.
func centrifugePush(channel string) string {
	return fmt.Sprintf(`{"push":{"channel":%q,"pub":{"data":`, channel)
}

// dialectOf finds a dialect by name; none is the product's.
func dialectOf(name string) *dialect {
	if name == "" {
		return wsifyDialect
	}
	for _, d := range dialects {
		if d.name == name {
			return d
		}
	}
	return nil
}

func dialectNames() string {
	var names []string
	for _, d := range dialects {
		names = append(names, d.name)
	}
	return strings.Join(names, ", ")
}

// greet exchanges what has to come before the first command.
func (d *dialect) greet(m *member, rest, buf []byte) ([]byte, error) {
	if d.hello == nil {
		return rest, nil
	}
	_, rest, err := m.ask(d.hello, rest, buf)
	return rest, err
}

// enter joins a channel and waits for the answer.
func (d *dialect) enter(m *member, channel string, rest, buf []byte) ([]byte, error) {
	answer, rest, err := m.ask(d.join(channel), rest, buf)
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if !bytes.Contains(answer, d.joined) {
		return nil, fmt.Errorf("join: answered %s", answer)
	}
	return rest, nil
}
