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
	"sync"
	"syscall"

	"github.com/gobwas/ws"
)

const maxStandInMessage = 1 << 20

// standIn is a small server that speaks the protocol, for the tests to measure.
type standIn struct {
	authorizer string
	rude       bool // ends without a word
	deaf       bool // ends the process at the first publication
	mu         sync.Mutex
	channels   map[string]map[*standInSession]bool
}

type standInSession struct {
	mu   sync.Mutex
	conn net.Conn
}

func (s *standInSession) write(f ws.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws.WriteFrame(s.conn, f)
}

// runStandIn serves until it is killed, unless -failing names a way not to.
func runStandIn(args []string) int {
	set := flag.NewFlagSet("stand-in", flag.ExitOnError)
	addr := set.String("listen-addr", "", "")
	authorizer := set.String("authorizer-url", "", "")
	for _, unused := range []string{"authorizer-events", "ping-interval", "pong-timeout", "handshake-timeout", "drain-timeout"} {
		set.String(unused, "", "")
	}
	failing := set.String("failing", "", "")
	set.Parse(args)
	s := &standIn{authorizer: *authorizer, channels: make(map[string]map[*standInSession]bool)}
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
	fmt.Fprintln(os.Stderr, http.ListenAndServe(*addr, nil))
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
	s.publish(body.Channel, body.Content)
	w.WriteHeader(http.StatusCreated)
}

// publish holds the lock over the writes: one order for all members.
func (s *standIn) publish(channel string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to := range s.channels[channel] {
		to.write(ws.NewTextFrame(content))
	}
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request) {
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
		if ws.Cipher(payload, h.Mask, 0); h.OpCode == ws.OpText {
			s.command(me, payload)
		}
	}
}

func (s *standIn) command(me *standInSession, text []byte) {
	var m struct {
		ID      json.RawMessage
		Command string
		Args    struct {
			Channel string
			Content json.RawMessage
		}
	}
	if json.Unmarshal(text, &m) != nil {
		return
	}
	if m.Command == "broadcast" {
		s.publish(m.Args.Channel, m.Args.Content)
		return
	}
	if s.authorizer != "" {
		if answer, err := http.Post(s.authorizer, "application/json", bytes.NewReader(text)); err == nil {
			answer.Body.Close()
		}
	}
	s.join(me, m.Args.Channel)
	if m.ID != nil {
		me.write(ws.NewTextFrame(fmt.Appendf(nil, `{"id":%s,"ok":true}`, m.ID)))
	}
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
