//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// slowPrefix begins the channels that a mood is about.
const slowPrefix = "slow-"

// mood is how a webhook answers.
type mood struct {
	latency time.Duration
	status  int  // 0: it never answers
	all     bool // everything is answered so; else joins of slow channels, and the rest with 200 at once
}

// webhook is an authorizer. It reads no more of a request than it has to, since it
// shares the machine with the server that asks.
type webhook struct {
	listener net.Listener
	url      string
	mood     atomic.Pointer[mood]
	pending  atomic.Int64 // calls that have no answer yet
	most     atomic.Int64 // the highest pending seen
	calls    atomic.Int64 // ever
	closed   chan struct{}
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func openWebhook(m mood) (*webhook, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &webhook{listener: l, url: fmt.Sprintf("http://%s/", l.Addr()), closed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	h.mood.Store(&m)
	h.serving.Go(h.accept)
	return h, nil
}

func (h *webhook) accept() {
	for {
		conn, err := h.listener.Accept()
		if err != nil {
			return // closed
		}
		h.mu.Lock()
		h.conns[conn] = true
		h.mu.Unlock()
		h.serving.Go(func() { h.serve(conn) })
	}
}

// close ends what is being answered, and waits for it.
func (h *webhook) close() {
	h.listener.Close()
	close(h.closed)
	h.mu.Lock()
	for conn := range h.conns {
		conn.Close()
	}
	h.mu.Unlock()
	h.serving.Wait()
}

func (h *webhook) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		h.mu.Lock()
		delete(h.conns, conn)
		h.mu.Unlock()
	}()
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		slow, err := readQuestion(in)
		if err != nil || h.answer(conn, in, slow) != nil {
			return
		}
	}
}

// readQuestion takes one request and reports whether it is about a slow channel.
func readQuestion(in *bufio.Reader) (slow bool, err error) {
	size := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return false, err
			}
		}
	}
	body, err := in.Peek(size)
	if err != nil {
		return false, err
	}
	slow = bytes.Contains(body, []byte(slowPrefix))
	_, err = in.Discard(size)
	return slow, err
}

// answer answers as the mood is.
func (h *webhook) answer(conn net.Conn, in *bufio.Reader, slow bool) error {
	h.calls.Add(1)
	n := h.pending.Add(1)
	defer h.pending.Add(-1)
	for most := h.most.Load(); n > most && !h.most.CompareAndSwap(most, n); most = h.most.Load() {
	}
	m := *h.mood.Load()
	if !slow && !m.all {
		m = mood{status: 200}
	}
	if m.status == 0 {
		_, err := in.Peek(1) // until whoever asks gives up
		return errors.Join(err, errors.New("asked again without an answer"))
	}
	if m.latency > 0 {
		pause := time.NewTimer(m.latency)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-h.closed:
			return net.ErrClosed
		}
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", m.status, "Answer")
	return err
}

// calmFor is how long nothing has to be asked until a server is taken to be done.
const calmFor = 100 * time.Millisecond

// calm answers everything at once until nothing is asked any more, for a time. A server
// still asks for connections that are gone, as many as have waited in it.
func (h *webhook) calm(limit time.Duration) error {
	h.mood.Store(&mood{status: 200})
	tick := time.NewTicker(calmFor)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		before := h.calls.Load()
		<-tick.C
		if h.pending.Load() == 0 && h.calls.Load() == before {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the authorizer is still asked after %v, %d calls have no answer", limit, h.pending.Load())
		}
	}
}
