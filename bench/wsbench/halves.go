//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	halfPayload  = 4 << 10         // bytes that a half frame announces
	trickleEvery = 2 * time.Second // between two further bytes of one half frame
)

// halfHeads are connections that send half a request head and then nothing.
type halfHeads struct {
	crowd  *crowd
	head   []byte
	ends   endings
	told   atomic.Int64 // answers 408
	others atomic.Int64 // other answers
	other  atomic.Pointer[string]
}

func (b *bench) openHeads(s *server) (*halfHeads, error) {
	request := s.target().upgradeRequest()
	h := &halfHeads{head: request[:len(request)/2]}
	c, err := openCrowd(plan{size: b.halves, threads: 1, target: target{port: s.port}, sources: b.sources, tolerant: true,
		raw: h.answer, ended: h.ends.note})
	if err != nil {
		return nil, err
	}
	h.crowd = c
	return h, nil
}

// send sends the halves. Which connection cannot be sent to has been closed, and is
// counted as that.
func (h *halfHeads) send() {
	for i := range h.crowd.members {
		sendNow(h.crowd.members[i].fd, h.head)
	}
}

// answer notes what the server says to half a head. It is called by receivers.
func (h *halfHeads) answer(_ *member, p []byte) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 408 ")) {
		h.told.Add(1)
		return
	}
	h.others.Add(1)
	line, _, _ := bytes.Cut(p, []byte("\r\n"))
	said := string(line[:min(len(line), 80)])
	h.other.CompareAndSwap(nil, &said)
}

// halfFrames are open connections that send the header and a half of the payload of a
// frame, then a byte now and then.
type halfFrames struct {
	crowd *crowd
	frame []byte
	sent  []int // bytes of the frame, by member
	ends  endings
}

func (b *bench) openHalfFrames(s *server) (*halfFrames, error) {
	f := &halfFrames{frame: clientFrame(opText, text(halfPayload)), sent: make([]int, b.halves)}
	c, err := openCrowd(plan{size: b.halves, threads: 1, target: s.target(), sources: b.sources, tolerant: true,
		ended: f.ends.note, message: func(m *member, e event) {
			m.at.crowd.fail(fmt.Errorf("half a frame was answered with %d bytes", e.size))
		}})
	if err != nil {
		return nil, err
	}
	f.crowd = c
	return f, nil
}

// send sends the halves.
func (f *halfFrames) send() {
	for i := range f.crowd.members {
		f.more(i, len(f.frame)-halfPayload/2)
	}
}

// more sends so many further bytes of a member's frame, but never its last.
func (f *halfFrames) more(i, n int) {
	n = min(n, len(f.frame)-1-f.sent[i])
	if n <= 0 {
		return
	}
	took, _ := sendNow(f.crowd.members[i].fd, f.frame[f.sent[i]:f.sent[i]+n])
	f.sent[i] += max(took, 0) // the receiver notes who was closed
}

// trickle sends a byte of each frame every trickleEvery until it is stopped.
func (f *halfFrames) trickle() (stop func()) {
	var quit atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		members := len(f.crowd.members)
		for !quit.Load() {
			pace(trickleEvery/time.Duration(members), trickleEvery, func(i int, _ int64) error {
				if quit.Load() {
					return errors.New("stopped")
				}
				f.more(i%members, 1)
				return nil
			})
		}
	})
	return func() {
		quit.Store(true)
		work.Wait()
	}
}
