package netpoll

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"wsify/internal/buffer"
)

// checkQueue checks I5 and I11 on a connection.
func checkQueue(t *testing.T, c *Conn) {
	t.Helper()
	queued := 0
	if c.out != 0 {
		q := c.queue()
		for _, b := range q.items[q.head:] {
			queued += placeSize + b.Memory()
		}
		if q.head == len(q.items) || q.off >= q.items[q.head].Len() {
			t.Errorf("a queue exists with %d bytes in %d buffers", queued, len(q.items)-q.head)
		}
	}
	if c.Queued() != queued {
		t.Errorf("Queued() = %d with buffers of %d bytes in the queue", c.Queued(), queued)
	}
	if want := c.out != 0; c.has(flagWriteOn) != want && !c.has(flagDirty) {
		t.Errorf("write interest is %v with %d bytes queued", !want, queued)
	}
}

// model drives one connection with random operations. It knows which messages the peer
// may see and which it must see. A message is its length, its number, and padding.
type model struct {
	t       *testing.T
	p       *probe
	r       *rand.Rand
	id      uint64
	peer    int
	next    uint32
	pending []uint32 // taken, and perhaps dropped
	dropped map[uint32]bool
	buffers []*Shared
	stream  []byte
}

func (m *model) message() []byte {
	size := 8 + m.r.IntN(64)
	if m.r.IntN(20) == 0 {
		size = 8 + m.r.IntN(12_000)
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(size))
	p = binary.BigEndian.AppendUint32(p, m.next)
	return append(p, make([]byte, size-8)...)
}

func (m *model) step(c *Conn) {
	before := c.Queued()
	switch op := m.r.IntN(20); {
	case op < 18:
		p := m.message()
		taken := m.send(c, op, p)
		limit := c.Loop().maxQueued
		if op%4 == 1 {
			limit += urgentReserve
		}
		if taken && before != 0 && c.Queued() > limit {
			m.t.Errorf("a message of %d was taken and made %d queued bytes of %d, the limit is %d", len(p), c.Queued(), before, limit)
		}
		if !taken && (before == 0 || before+placeSize+buffer.MemoryFor(len(p)) <= limit) {
			m.t.Errorf("with %d queued, a message of %d was refused", before, len(p))
		}
		if taken {
			m.pending = append(m.pending, m.next)
		}
		m.next++
	case op == 18:
		c.DropQueued()
		for _, n := range m.pending {
			m.dropped[n] = true // perhaps: a message written before is seen
		}
		m.pending = m.pending[:0]
	}
	checkQueue(m.t, c)
	if got := c.Loop().queuedBytes.Load(); got != int64(c.Queued()) {
		m.t.Errorf("the loop counts %d queued bytes, its connection %d", got, c.Queued())
	}
}

func (m *model) send(c *Conn, op int, p []byte) bool {
	if op%4 == 0 {
		return c.Send(p)
	}
	if op%4 == 1 {
		return c.SendUrgent(p)
	}
	b := buffer.New(len(p))
	b.Append(p, 1)
	m.buffers = append(m.buffers, b)
	if op%4 == 2 {
		return c.SendShared(b)
	}
	return c.QueueShared(b)
}

// take reads some bytes as the peer, and checks the complete messages.
func (m *model) take(limit int) {
	buf := make([]byte, limit)
	n, _ := unix.Read(m.peer, buf)
	m.stream = append(m.stream, buf[:max(n, 0)]...)
	for len(m.stream) >= 8 {
		size, number := binary.BigEndian.Uint32(m.stream), binary.BigEndian.Uint32(m.stream[4:])
		if size < 8 || size > 1<<16 || number >= m.next {
			m.t.Fatalf("half a message was sent: the next says it has %d bytes and number %d", size, number)
		}
		if len(m.stream) < int(size) {
			return
		}
		m.stream = m.stream[size:]
		m.seen(number)
	}
}

func (m *model) seen(number uint32) {
	if m.dropped[number] {
		delete(m.dropped, number)
		return
	}
	if len(m.pending) == 0 || m.pending[0] != number {
		m.t.Fatalf("message %d was seen, want the first of %v", number, m.pending)
	}
	m.pending = m.pending[1:]
}

func TestRandomOperationsKeepOrderAccountAndReferences(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			p := newProbe(t, Config{MaxQueuedBytes: 30_000}, hooks{})
			peer, id := p.adopt()
			m := &model{t: t, p: p, r: rand.New(rand.NewPCG(seed, 1)), id: id, peer: peer, dropped: map[uint32]bool{}}
			for range 400 {
				p.with(id, func(c *Conn) {
					for range 1 + m.r.IntN(12) {
						m.step(c)
					}
				})
				if m.r.IntN(3) > 0 {
					m.take(1 + m.r.IntN(20_000))
				}
				p.with(id, func(c *Conn) { checkQueue(t, c) }) // what a turn flushed
				if t.Failed() {
					return
				}
			}
			for queued := 1; queued > 0 || len(m.pending) > 0; {
				m.take(64 << 10)
				p.with(id, func(c *Conn) { queued = c.Queued() })
			}
			for i, b := range m.buffers {
				if !b.Sole() {
					t.Fatalf("buffer %d of %d keeps references", i, len(m.buffers))
				}
				b.Release()
			}
		})
	}
}

func TestAQueueThatNeverEmptiesDoesNotGrow(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.adopt()
	b := shared("0123456789")
	defer b.Release()
	p.with(id, func(c *Conn) {
		fill(t, c)
		for range 10 {
			c.SendShared(b)
		}
		for range 10_000 { // like a peer that is always a little behind
			c.SendShared(b)
			c.written(b.Len())
			checkQueue(t, c)
		}
		if q := c.queue(); cap(q.items) > 512 {
			t.Errorf("a queue of %d buffers holds %d places after 10,000 have passed", len(q.items)-q.head, cap(q.items))
		}
	})
}

func TestMoreBuffersThanOneWriteTakesAreSentInOrder(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	want := ""
	var buffers []*Shared
	for i := range 3*maxIovecs + 1 {
		b := shared(fmt.Sprintf("%d,", i))
		buffers = append(buffers, b)
		want += string(b.Bytes())
	}
	p.with(id, func(c *Conn) {
		for _, b := range buffers {
			c.QueueShared(b)
			b.Release()
		}
	})
	wantRead(t, client, want)
}

func TestBurstsGiveTheirMemoryBack(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	b := shared("x")
	defer b.Release()
	p.with(id, func(c *Conn) {
		for range 10 * keepQueueLength {
			c.QueueShared(b)
		}
		for range 10_000 { // these stand for as many connections and tasks
			p.l.dirty = append(p.l.dirty, c.ID())
			p.l.Post(func() {})
		}
	})
	if n := len(drainTCP(t, client, 10*keepQueueLength)); n != 10*keepQueueLength {
		t.Fatalf("read %d bytes", n)
	}
	p.rounds(3)
	on(t, p.l, func() {
		if _, q := p.l.queues.Take(); cap(q.items) > keepQueueLength {
			t.Errorf("a queue with %d places is kept", cap(q.items))
		}
		if cap(p.l.dirty) > 4096 || cap(p.l.spare) > 1024 || cap(p.l.tasks) > 1024 {
			t.Errorf("kept: %d places for flushes, %d and %d for tasks", cap(p.l.dirty), cap(p.l.spare), cap(p.l.tasks))
		}
	})
}
