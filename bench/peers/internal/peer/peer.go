// Package peer is what the other engines share, where their libraries bring nothing of the kind: who hears
// which channel, wsify's client protocol, and the outside of the program. With the same table and the same JSON
// parser everywhere (the one wsify uses), what is left to compare is the library beneath.
package peer

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	json "github.com/goccy/go-json"
)

// MaxMessageSize is the most bytes a message may have.
const MaxMessageSize = 1 << 20

// Server is who hears which channel. M is a connection.
type Server[M comparable] struct {
	deliver  func(members []M, content []byte) // members are borrowed
	channels sync.Map                          // *channel[M] by name
}

// channel is the members of one channel. It is never given up: these servers live for a run.
type channel[M comparable] struct {
	mu      sync.Mutex // held while a publication is delivered, so that members see one order
	members []M
	places  map[M]int
}

// NewServer returns a server that gives content to members by deliver.
func NewServer[M comparable](deliver func(members []M, content []byte)) *Server[M] {
	return &Server[M]{deliver: deliver}
}

func (s *Server[M]) channel(name string) *channel[M] {
	c, ok := s.channels.Load(name)
	if !ok {
		c, _ = s.channels.LoadOrStore(strings.Clone(name), &channel[M]{places: map[M]int{}}) // it may be a part of a whole message
	}
	return c.(*channel[M])
}

func (c *channel[M]) add(m M) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.places[m]; !ok {
		c.places[m] = len(c.members)
		c.members = append(c.members, m)
	}
}

func (c *channel[M]) remove(m M) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.places[m]
	if !ok {
		return
	}
	last := len(c.members) - 1
	c.members[i] = c.members[last]
	c.places[c.members[i]] = i
	c.members = c.members[:last]
	delete(c.places, m)
}

// Session is the memberships of one connection. One goroutine at a time may use it.
type Session[M comparable] struct {
	server *Server[M]
	m      M
	joined map[*channel[M]]bool
}

func (s *Server[M]) Open(m M) *Session[M] { return &Session[M]{s, m, map[*channel[M]]bool{}} }

func (s *Session[M]) Close() {
	for c := range s.joined {
		c.remove(s.m)
	}
}

type command struct {
	ID      json.RawMessage `json:"id"`
	Command string          `json:"command"`
	Channel string          `json:"channel"` // of POST /broadcast
	Content json.RawMessage `json:"content"`
	Args    struct {
		Channel string          `json:"channel"`
		Content json.RawMessage `json:"content"`
	} `json:"args"`
}

// Handle carries out a message of a client, and returns the answer; nil is none.
func (s *Session[M]) Handle(message []byte) []byte {
	var c command
	if json.Unmarshal(message, &c) != nil {
		return nil
	}
	channel := s.server.channel(c.Args.Channel)
	switch c.Command {
	case "join":
		channel.add(s.m)
		s.joined[channel] = true
	case "leave":
		channel.remove(s.m)
		delete(s.joined, channel)
	case "broadcast":
		s.server.publish(channel, c.Args.Content)
	}
	if len(c.ID) == 0 {
		return nil
	}
	return append(append([]byte(`{"id":`), c.ID...), `,"ok":true}`...)
}

func (s *Server[M]) publish(c *channel[M], content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.deliver(c.members, content)
}

func (s *Server[M]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	Broadcast(w, r, func(channel string, content []byte) { s.publish(s.channel(channel), content) })
}

// Broadcast takes a publication of a backend.
func Broadcast(w http.ResponseWriter, r *http.Request, publish func(channel string, content []byte)) {
	var c command
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxMessageSize)).Decode(&c) != nil || c.Channel == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	publish(c.Channel, c.Content)
	w.Header()["Date"] = nil
	w.WriteHeader(http.StatusCreated)
}

// Main listens on -listen-addr, has serve serve it, and ends with 0 on SIGTERM.
func Main(serve func(l net.Listener) error) {
	addr := flag.String("listen-addr", "127.0.0.1:3000", "`host:port` to listen on")
	flag.Parse()
	l, err := net.Listen("tcp", *addr)
	if err == nil {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM, os.Interrupt)
		go func() { <-end; os.Exit(0) }()
		fmt.Fprintln(os.Stderr, "listening on", l.Addr())
		if err = serve(l); err == nil {
			select {} // it serves on goroutines of its own
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// HTTP serves an upgrade at path, and POST /broadcast, by net/http.
func HTTP(path string, upgrade http.Handler, broadcast http.Handler) func(net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle(path, upgrade)
	mux.Handle("/broadcast", broadcast)
	return func(l net.Listener) error { return http.Serve(l, mux) }
}
