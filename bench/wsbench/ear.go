//go:build linux

package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// earBytes is how many bytes may be published and not heard yet. A server answers 503
// from some point on, which the publishers of http are not to reach: they wait.
const earBytes = 32 << 10

// ear is the member that hears what an exchange of POST /broadcast publishes, if there
// is one.
type ear struct {
	crowd  *crowd // nil: nobody
	size   int    // bytes of a message
	each   int64  // messages that one request of the exchange brings
	posts  atomic.Pointer[exchange]
	heard  atomic.Int64
	owed   int64 // that were to be heard at the last hear
	window *window
}

// window bounds what is sent and not heard yet. It is for any goroutine.
type window struct {
	mu   sync.Mutex
	room int
	held []*member // wait for room, the first comes first
}

// enter reports whether m may send; if not, it is held.
func (w *window) enter(m *member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.room > 0 {
		w.room--
		return true
	}
	w.held = append(w.held, m)
	return false
}

// leave makes room for one, and returns who may send now; nil for nobody.
func (w *window) leave() *member {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 {
		w.room++
		return nil
	}
	m := w.held[0]
	w.held = w.held[:copy(w.held, w.held[1:])]
	return m
}

func (b *bench) openEar(s *server, members int) (*ear, error) {
	return b.openWideEar(s, members, earBytes, 1)
}

// openWideEar opens one that may have so many bytes owed to it, by requests that bring
// it each messages.
func (b *bench) openWideEar(s *server, members, bytes, each int) (*ear, error) {
	e := &ear{size: s.dialect.delivered(sharedChannel, b.contentSize), each: int64(each)}
	if members == 0 {
		return e, nil
	}
	e.window = &window{room: max(bytes/serverFrameSize(e.size)/each, 1)}
	c, err := openCrowd(plan{size: members, threads: 1, target: s.target(), sources: b.sources, channels: channels{Shared: true},
		message: e.message})
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	e.crowd = c
	return e, nil
}

// watch lets an exchange send no more than is heard. It is called before the exchange
// starts.
func (e *ear) watch(x *exchange) {
	if e.crowd != nil {
		x.window, x.beside = e.window, e.crowd
		e.posts.Store(x)
	}
}

// message counts a delivery. It is called by the receiver.
func (e *ear) message(m *member, got event) {
	if got.size != e.size {
		m.at.crowd.fail(fmt.Errorf("a message of %d bytes came instead of %d", got.size, e.size))
	}
	if e.heard.Add(1)%e.each != 0 {
		return
	}
	if next := e.window.leave(); next != nil {
		e.posts.Load().sendNow(next)
	}
}

// hear waits until n more publications were delivered: each that was taken, and once.
func (e *ear) hear(n int64) error {
	if e.crowd == nil {
		return nil
	}
	e.owed += n
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(deliveryTimeout); e.heard.Load() < e.owed; {
		select {
		case err := <-e.crowd.failed:
			return err
		case <-tick.C:
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d of %d publications were delivered within %v", e.heard.Load(), e.owed, deliveryTimeout)
		}
	}
	if e.heard.Load() > e.owed {
		return errors.New("more was delivered than was published")
	}
	return nil
}

func (e *ear) close() {
	if e.crowd != nil {
		e.crowd.close()
	}
}
