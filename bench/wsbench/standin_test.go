//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

const maxStandInMessage = 1 << 20

// standIn is a small server that speaks the protocol, for the tests to measure.
type standIn struct {
	authorizer string
	events     string
	client     http.Client    // that asks the authorizer
	deaf       bool           // ends the process at the first publication
	rude       bool           // ends without a word
	broker     *standInBroker // nil: publications stay here
	mu         sync.Mutex
	channels   map[string]map[*standInSession]bool
}

type standInSession struct {
	mu   sync.Mutex
	conn net.Conn
}

// standInPatience is how long a session may take to read: longer than a full machine
// keeps a process from running.
const standInPatience = 2 * time.Second

// write resets a connection that does not read.
func (s *standInSession) write(f ws.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(standInPatience))
	if ws.WriteFrame(s.conn, f) != nil {
		s.conn.(*net.TCPConn).SetLinger(0)
		s.conn.Close()
	}
}

// runStandIn serves until it is killed, unless -failing names a way not to.
func runStandIn(args []string) int {
	set := flag.NewFlagSet("stand-in", flag.ExitOnError)
	addr := set.String("listen-addr", "", "")
	authorizer := set.String("authorizer-url", "", "")
	events := set.String("authorizer-events", "", "")
	patience := set.Duration("authorizer-timeout", 0, "")
	heads := set.Duration("handshake-timeout", 0, "")
	set.Int("write-queue-size", 0, "")
	set.Int("max-channels-per-connection", 0, "")
	driver := set.String("broker-driver", "", "")
	dsn := set.String("broker-dsn", "", "")
	for _, unused := range []string{"ping-interval", "pong-timeout", "drain-timeout"} {
		set.String(unused, "", "")
	}
	failing := set.String("failing", "", "")
	set.Parse(args)
	s := &standIn{authorizer: *authorizer, events: *events, client: http.Client{Timeout: *patience}, channels: make(map[string]map[*standInSession]bool)}
	if *driver != "" {
		s.broker = newStandInBroker(*dsn, s.deliver)
	}
	upgrade := s.serve
	switch *failing {
	case "start":
		fmt.Fprintln(os.Stderr, "the stand-in will not start")
		return 3
	case "upgrade":
		upgrade = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	case "farewell":
		s.rude = true
	case "publish":
		s.deaf = true
	}
	http.HandleFunc("/ws", upgrade)
	http.HandleFunc("/broadcast", s.broadcast)
	go s.endOnSignal()
	server := http.Server{Addr: *addr, ReadHeaderTimeout: *heads}
	fmt.Fprintln(os.Stderr, server.ListenAndServe())
	return 1
}

// endOnSignal closes every member with 1012 and ends the process in order.
func (s *standIn) endOnSignal() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	s.mu.Lock()
	for _, members := range s.channels {
		for to := range members {
			if s.rude {
				break
			}
			to.write(ws.NewCloseFrame(ws.NewCloseFrameBody(restart, "")))
		}
	}
	os.Exit(0)
}

func (s *standIn) broadcast(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Channel string
		Content json.RawMessage
	}
	if s.deaf || json.NewDecoder(r.Body).Decode(&body) != nil {
		fmt.Fprintln(os.Stderr, "the stand-in gives up")
		os.Exit(4)
	}
	if !s.publish(body.Channel, body.Content) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// publish reports whether it was taken.
func (s *standIn) publish(channel string, content []byte) bool {
	if s.broker != nil {
		return s.broker.publish(channel, content)
	}
	s.deliver(channel, content)
	return true
}

// deliver holds the lock over the writes: one order for all members.
func (s *standIn) deliver(channel string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to := range s.channels[channel] {
		to.write(ws.NewTextFrame(content))
	}
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
	if !s.allowed("connect", []byte(`{"command":"connect"}`)) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	conn, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	me := &standInSession{conn: conn}
	defer s.forget(me)
	me.write(ws.NewPingFrame([]byte("are you there")))
	for {
		h, err := ws.ReadHeader(rw)
		if err != nil || h.Length > maxStandInMessage {
			return
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(rw, payload); err != nil {
			return
		}
		if ws.Cipher(payload, h.Mask, 0); h.OpCode == ws.OpText && !s.command(me, payload) {
			me.write(ws.NewCloseFrame(ws.NewCloseFrameBody(1013, "")))
			return
		}
	}
}

// allowed asks the authorizer, if there is one for such events.
func (s *standIn) allowed(event string, body []byte) bool {
	if s.authorizer == "" || !strings.Contains(s.events, event) {
		return true
	}
	answer, err := s.client.Post(s.authorizer, "application/json", bytes.NewReader(body))
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// command reports whether the session goes on.
func (s *standIn) command(me *standInSession, text []byte) bool {
	var m struct {
		ID      json.RawMessage
		Command string
		Args    struct {
			Channel string
			Content json.RawMessage
		}
	}
	if json.Unmarshal(text, &m) != nil {
		return true
	}
	if m.Command == "broadcast" {
		if s.publish(m.Args.Channel, m.Args.Content) && m.ID != nil {
			me.write(ws.NewTextFrame(fmt.Appendf(nil, `{"id":%s,"ok":true}`, m.ID)))
		}
		return true
	}
	if !s.allowed("join", text) {
		return false
	}
	s.join(me, m.Args.Channel)
	if s.broker != nil {
		s.broker.join(m.Args.Channel)
	}
	if m.ID != nil {
		me.write(ws.NewTextFrame(fmt.Appendf(nil, `{"id":%s,"ok":true}`, m.ID)))
	}
	return true
}

func (s *standIn) join(me *standInSession, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels[channel] == nil {
		s.channels[channel] = make(map[*standInSession]bool)
	}
	s.channels[channel][me] = true
}

func (s *standIn) forget(me *standInSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, members := range s.channels {
		delete(members, me)
	}
}
