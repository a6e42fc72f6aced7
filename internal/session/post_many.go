package session

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
	"unsafe"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/publish"
	"wsify/internal/repeat"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// posting is a request of a backend that is more than one publication to one channel: a batch, several
// channels or users, an Idempotency-Key, or an answer that says what became of it.
//
// The loop owns next and room. A send belongs to the loop until the broker has it, then to whoever
// reports its outcome. Whoever reports the last outcome makes the answer.
type posting struct {
	node   *Node
	net    *netpoll.Loop
	conn   uint64
	manner publish.Manner
	batch  bool
	sum    uint64 // of the body; only with a key
	size   int    // bytes of memory: the body, and the sends
	items  []publish.Item
	sends  []send
	next   int         // the first send that the broker was not given
	room   *hub.Waiter // for that send, while it waits

	left    atomic.Int32 // outcomes that are not known, and one until all is sent
	settled atomic.Bool  // the answer is made, or none is wanted
	answer  repeat.Answer
}

// send is one publication to one channel.
type send struct {
	item    int // in posting.items
	channel string
	failed  *unsent // nil: it was published
	receipt broker.Receipt
}

const sendSize = int(unsafe.Sizeof(send{}))

// sendsInTurn is how many sends a posting makes before other connections have their turn.
const sendsInTurn = 64

// publishAll publishes all that a request asks for. body is borrowed.
func (l *loop) publishAll(c *netpoll.Conn, s *session, m publish.Manner, body []byte) {
	p := &posting{node: l.node, net: l.net, conn: c.ID(), manner: m, batch: m.Lines || publish.IsArray(body), size: len(body)}
	p.left.Store(1)
	if m.Key != "" && !l.mayPublish(c, s, p, body) {
		return
	}
	if no := p.read(&l.node.now().rules, bytes.Clone(body)); no.Status != 0 {
		p.forget()
		l.unpublished(no.Reason, c, no.Detail)
		l.respond(c, s, m, no.Status, "", no.Detail+"\n")
		return
	}
	p.size += len(p.sends) * sendSize
	if l.sendAllOf(c, p) {
		l.respondAll(c, s, p)
		return
	}
	l.begin(s, publishing, pendingPost{Manner: m, many: p})
	c.Pause()
	c.SetDeadline(publishTimeout)
}

// mayPublish reports whether the request is new. One whose key has come before is answered.
func (l *loop) mayPublish(c *netpoll.Conn, s *session, p *posting, body []byte) bool {
	p.sum = maphash.Bytes(l.node.publications.seed, body)
	verdict, known := l.node.answers.Begin(p.manner.Key, p.sum, l.node.clock())
	switch verdict {
	case repeat.Known:
		l.unpublished(publish.Repeated, c, "it was answered before")
		l.respondAs(c, s, p.manner, known.Status, known.Kind, known.Headers, string(known.Body))
	case repeat.UnderWay:
		l.reused(c, s, p.manner, 409, "a request with this Idempotency-Key is being answered")
	case repeat.Another:
		l.reused(c, s, p.manner, 422, "this Idempotency-Key has come with another body")
	}
	return verdict == repeat.New
}

func (l *loop) reused(c *netpoll.Conn, s *session, m publish.Manner, status int, detail string) {
	l.unpublished(publish.KeyReused, c, detail)
	l.respond(c, s, m, status, "", detail+"\n")
}

// read finds out what to publish. body is owned.
func (p *posting) read(r *publish.Rules, body []byte) (no publish.Refusal) {
	if p.batch {
		p.items, no = r.Batch(body, p.manner.Lines)
	} else {
		p.items, no = r.Single(body)
	}
	for i := range p.items {
		it := &p.items[i]
		if it.Bad != nil {
			p.sends = append(p.sends, send{item: i, failed: malformed(it.Bad)})
			continue
		}
		for _, channel := range targetsOf(it.Channel, it.Whom) {
			p.sends = append(p.sends, send{item: i, channel: channel})
		}
		if it.Whom != nil {
			it.Content = append(broker.AppendHead(nil, &broker.Head{Except: it.Whom.Except}), it.Content...)
		}
	}
	return no
}

// sendAllOf gives the broker what it was not given yet. It reports whether the answer is made. It
// stops while the posting waits for room in a channel, and when other connections have their turn;
// it is called again then.
func (l *loop) sendAllOf(c *netpoll.Conn, p *posting) (answered bool) {
	for n := 0; p.next < len(p.sends); p.next++ {
		if n++; n > sendsInTurn {
			l.net.PostTo(p.conn, func(c *netpoll.Conn) { l.postingGoesOn(c, p) })
			return false
		}
		s := &p.sends[p.next]
		if s.failed != nil {
			l.uncounted(c, s.failed)
		} else if !l.sendOneOf(c, p, s) {
			return false
		}
	}
	return p.release()
}

// sendOneOf publishes to one channel. It reports false if the posting waits for room there instead:
// a batch may fill a channel by itself. Others do not wait.
func (l *loop) sendOneOf(c *netpoll.Conn, p *posting, s *send) bool {
	channel, content := []byte(s.channel), p.items[s.item].Content
	room := p.room
	if size := wire.FrameSize(len(content)); room == nil && l.node.hub.Busy(channel, size) {
		if room = (&hub.Waiter{ID: p.conn}); p.batch && l.node.hub.AwaitRoom(channel, size, room) {
			p.room = room
			return false
		}
		if room = nil; !p.batch {
			p.failed(s, hub.ErrBusy)
			return true
		}
	}
	p.room = nil
	defer l.forgo(room)
	if r := &l.node.now().publications; r.rate > 0 && !l.node.publications.allow(r, channel) {
		s.failed = tooOften
		l.uncounted(c, tooOften)
		return true
	}
	p.left.Add(1)
	pending, r, err := l.node.broker.Publish(nil, channel, content, func(r broker.Receipt, err error) {
		if p.outcome(s, r, err); p.release() {
			p.net.PostTo(p.conn, func(c *netpoll.Conn) { l.postingAnswered(c, p) })
		}
	})
	if !pending {
		p.left.Add(-1)
		p.outcome(s, r, err)
	}
	return true
}

// postingGoesOn sends on, when there is room or it is the connection's turn again.
func (l *loop) postingGoesOn(c *netpoll.Conn, p *posting) {
	if l.has(c, p) && l.sendAllOf(c, p) {
		l.postingAnswered(c, p)
	}
}

// has reports whether p is the request in progress on c.
func (l *loop) has(c *netpoll.Conn, p *posting) bool {
	s := l.session(c)
	return c.Open() && s.state == publishing && l.more(s).post.many == p
}

// postingAnswered sends the answer, and handles the input after the request.
func (l *loop) postingAnswered(c *netpoll.Conn, p *posting) {
	if !l.has(c, p) {
		return
	}
	s := l.session(c)
	input := l.more(s).input
	l.done(s)
	l.respondAll(c, s, p)
	l.readOn(c, s, input)
}

func (l *loop) respondAll(c *netpoll.Conn, s *session, p *posting) {
	for i := range p.sends {
		if failed := p.sends[i].failed; failed != nil && failed.status != 400 {
			l.logUnpublished(c, dropNames[failed.why], failed.Message)
		}
	}
	l.respondAs(c, s, p.manner, p.answer.Status, p.answer.Kind, p.answer.Headers, string(p.answer.Body))
}
