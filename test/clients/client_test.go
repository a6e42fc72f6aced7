package clients

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client is what the tests need of a library. Data from the server comes as events:
//
//	message TEXT
//	ping
//	pong PAYLOAD
//	close CODE REASON
type client struct {
	t      *testing.T
	events chan string
	answer *http.Response // to the upgrade

	sendText   func(p []byte) error
	sendBinary func(p []byte) error
	sendParts  func(parts ...[]byte) error // one text message in fragments
	ping       func() error
	close      func(code int, reason string) error
	chosen     func() string // the subprotocol
}

// offer is what a client offers in the upgrade.
type offer struct {
	subprotocols []string
	compression  bool
}

// libraries are the clients under test.
var libraries = []struct {
	name string
	dial func(t *testing.T, url string, o offer) *client
}{
	{"coder", dialCoder},
	{"gorilla", dialGorilla},
}

// each runs a test with each library against a server with these flags.
func each(t *testing.T, flags []string, test func(t *testing.T, s *server, dial func(o offer) *client)) {
	for _, library := range libraries {
		t.Run(library.name, func(t *testing.T) {
			s := serve(t, flags...)
			test(t, s, func(o offer) *client { return library.dial(t, s.url, o) })
		})
	}
}

// expect waits for the next event and compares it.
func (c *client) expect(want string) {
	c.t.Helper()
	select {
	case got := <-c.events:
		if got != want {
			c.t.Fatalf("got %.200s, want %.200s", got, want)
		}
	case <-time.After(patience):
		c.t.Fatalf("got nothing, want %.200s", want)
	}
}

// expectClose waits for a Close frame with this code, whatever its reason.
func (c *client) expectClose(code int) {
	c.t.Helper()
	want := fmt.Sprintf("close %d", code)
	select {
	case got := <-c.events:
		if got != want && !strings.HasPrefix(got, want+" ") {
			c.t.Fatalf("got %.200s, want %s", got, want)
		}
	case <-time.After(patience):
		c.t.Fatalf("got nothing, want %s", want)
	}
}

// say sends a text message.
func (c *client) say(text string) {
	c.t.Helper()
	if err := c.sendText([]byte(text)); err != nil {
		c.t.Fatalf("send %.200s: %v", text, err)
	}
}

// ask sends a text message and compares the next event.
func (c *client) ask(text, want string) {
	c.t.Helper()
	c.say(text)
	c.expect(want)
}

func (c *client) join(channel string) {
	c.t.Helper()
	c.ask(fmt.Sprintf(`{"command":"join","args":{"channel":%q},"id":0}`, channel), `message {"id":0,"ok":true}`)
}
