package server

import (
	"strings"
	"testing"

	"wsify/internal/testtool"
)

const eventsRequest = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"

// readUntil reads lines until one has text.
func (c client) readUntil(t *testing.T, text string) {
	t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended before %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// TestTheStreamTellsOfADrain and ends with the server.
func TestTheStreamTellsOfADrain(t *testing.T) {
	t.Parallel()
	srv := startWithAdmin(t, Config{BroadcastingKey: "k"})
	stream := dial(t, srv.AdminAddr())
	if _, err := stream.Write([]byte(eventsRequest)); err != nil {
		t.Fatal(err)
	}
	stream.readUntil(t, `"names":["connections","channels",`)
	request := postRequest("k", `{"channel":"c","content":1}`)
	p := dial(t, srv.Addr())
	if _, err := p.Write([]byte(request[:len(request)-5])); err != nil {
		t.Fatal(err)
	}
	testtool.Until(t, "the request has begun", func() bool { return srv.Stats().Net.BytesReceived > 0 })
	stream.readUntil(t, `"not_ready":null`)
	ended := shutdown(srv)
	stream.readUntil(t, `"not_ready":["draining: this node takes no new clients"]`)
	p.expect(t, request[len(request)-5:], 201)
	await(t, ended)
	if _, err := stream.r.WriteTo(new(strings.Builder)); err != nil {
		t.Errorf("the stream ends with %v, want its end", err)
	}
}

// TestStreamsLeaveRoomForOthers: pages that listen must not keep a balancer from asking whether the
// node is ready.
func TestStreamsLeaveRoomForOthers(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	for range srv.maxAdmin / 4 {
		c := dial(t, srv.AdminAddr())
		if _, err := c.Write([]byte(eventsRequest)); err != nil {
			t.Fatal(err)
		}
		c.readUntil(t, "history")
	}
	dial(t, srv.AdminAddr()).expect(t, eventsRequest, 503)
	expectAdmin(t, srv, "/readyz", 200, "ok\n")
}

// TestNamesOfChannelsForEverybodyAreWarnedAbout: a listener on loopback has its own users only.
func TestNamesOfChannelsForEverybodyAreWarnedAbout(t *testing.T) {
	for _, tc := range []struct {
		addr   string
		on     bool
		warned bool
	}{{"127.0.0.1:0", true, false}, {":0", false, false}, {":0", true, true}} {
		_, book := startLogged(t, Config{AdminAddr: tc.addr, AdminChannels: tc.on})
		if got := strings.Contains(book.String(), "sees names of channels"); got != tc.warned {
			t.Errorf("%s, %v: warned %v, want %v", tc.addr, tc.on, got, tc.warned)
		}
	}
}
