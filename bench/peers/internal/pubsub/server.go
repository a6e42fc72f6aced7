package pubsub

import (
	"io"
	"net/http"
)

// MaxMessageSize is how many bytes a message or body may have, in each peer: the
// generator's largest content is 64 KiB.
const MaxMessageSize = 256 << 10

// Server is a pub/sub server but for its transport. M is how the transport names
// a connection.
type Server[M comparable] struct {
	hub     *hub[M]
	deliver func(members []M, content []byte)
}

// NewServer returns a server that hands each publication to deliver once, with all
// who shall hear it.
//
// Deliver is called with the channel locked, so it sees a channel's publications
// in their order. It borrows members until it returns; content is its own. It must
// not join, leave or publish, and what it calls must not either.
func NewServer[M comparable](deliver func(members []M, content []byte)) *Server[M] {
	return &Server[M]{hub: newHub[M](), deliver: deliver}
}

// Publish hands content, which the server keeps, to the members of a channel.
func (s *Server[M]) Publish(channel string, content []byte) {
	s.hub.publish(channel, func(members []M) { s.deliver(members, content) })
}

// ServeHTTP takes a publication by POST and answers 201 once it was delivered.
func (s *Server[M]) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ServeBroadcast(w, r, func(channel string, content []byte) error {
		s.Publish(channel, content)
		return nil
	})
}

// ServeBroadcast is POST /broadcast for a server that publishes by itself.
func ServeBroadcast(w http.ResponseWriter, r *http.Request, publish func(channel string, content []byte) error) {
	if r.Method != http.MethodPost {
		http.Error(w, "POST a publication", http.StatusMethodNotAllowed)
		return
	}
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if len(body) > MaxMessageSize {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	channel, content, ok := parsePublication(body)
	if !ok {
		http.Error(w, "want JSON with a channel", http.StatusBadRequest)
		return
	}
	if err := publish(channel, content); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Length", "0") // net/http knows; nbio's engine would send an empty chunk
	w.WriteHeader(http.StatusCreated)
}

// readBody reads up to one byte more than is allowed, in one piece when the
// length is known.
func readBody(r *http.Request) ([]byte, error) {
	if n := r.ContentLength; n >= 0 && n <= MaxMessageSize {
		body := make([]byte, n)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	return io.ReadAll(io.LimitReader(r.Body, MaxMessageSize+1))
}
