package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// How a round is published.
const (
	socketPublishers = 8    // on each node, clients that send ids
	httpPublishers   = 4    // on each node
	roundWindow      = 1024 // the most publications under way at once

	// refusalPause is the time until the place of a refused publication is used again: some 2,500
	// are tried in a second while the engine is unreachable.
	refusalPause = 400 * time.Millisecond
)

// outcome is the outcome of a publication, as its publisher was told.
type outcome = int32

const (
	untold   outcome = iota
	accepted         // the engine has it
	refused          // not published
	unknown          // it may have been published
)

// stage is a phase of a round.
type stage = int32

const (
	steady  stage = iota // normal operation, as far as is known
	outage               // from just before the engine is killed
	noticed              // since both nodes have noticed
	resumed              // since both are ready again
)

// round is a number of publications to a crowd, to all of its channels in turn, from many
// publishers on all nodes.
//
// A publication is settled once it is refused or all members have received it. At most roundWindow
// are not settled, which bounds the number that one event can lose.
type round struct {
	c          *crowd
	count      int
	perChannel uint32 // members of each channel
	stage      atomic.Int32
	next       atomic.Int64
	told       atomic.Int64 // publications with an outcome
	refusals   atomic.Int64
	room       chan struct{} // has a value for each publication that may begin
	over       chan struct{} // closed when no more publications begin

	publications []fate
}

// fate is the state of one publication.
type fate struct {
	owner    int32 // its publisher; written before it is sent
	began    stage // when it was sent; also written before it is sent
	toldAt   stage // when its outcome came; written before that
	outcome  atomic.Int32
	hearings atomic.Uint32
}

func newRound(c *crowd, count int) *round {
	r := &round{c: c, count: count, perChannel: uint32(len(c.members) / crowdChannels), room: make(chan struct{}, 2*roundWindow), over: make(chan struct{}), publications: make([]fate, count)}
	for _, m := range c.members {
		m.mu.Lock()
		m.heard, m.marks = make([]int32, 0, count/crowdChannels+1), 0
		m.mu.Unlock()
	}
	c.marks.Store(0)
	r.giveRoom()
	c.now.Store(r)
	return r
}

// giveRoom makes room for as many publications as may be lost.
func (r *round) giveRoom() {
	for range roundWindow {
		r.room <- struct{}{}
	}
}

// begin waits for room and returns the next publication; ok is false when there are no more.
func (r *round) begin(owner int) (p int, ok bool) {
	select {
	case <-r.room:
	case <-r.over:
		return 0, false
	}
	p = int(r.next.Add(1)) - 1
	if p >= r.count {
		return 0, false
	}
	f := &r.publications[p]
	f.owner, f.began = int32(owner), r.stage.Load()
	return p, true
}

// delivered counts that one member has received publication p.
func (r *round) delivered(p int) {
	if p < 0 || p >= r.count {
		r.c.t.Errorf("received %d, which was never published", p)
		return
	}
	if r.publications[p].hearings.Add(1) == r.perChannel {
		r.room <- struct{}{}
	}
}

// tell records the outcome of p.
func (r *round) tell(p int, o outcome) {
	f := &r.publications[p]
	f.toldAt = r.stage.Load()
	if !f.outcome.CompareAndSwap(untold, o) {
		r.c.t.Errorf("publication %d has two outcomes", p)
		return
	}
	r.told.Add(1)
	if o == refused {
		r.refusals.Add(1)
		time.AfterFunc(refusalPause, func() { r.room <- struct{}{} })
	}
}

// outcomeOf returns the outcome that a refusal means.
func outcomeOf(why string) outcome {
	if strings.Contains(why, "not published") {
		return refused
	}
	return unknown
}

// publish publishes the whole round on these nodes. It waits until each publication has an outcome,
// and each member has received the end of the round, which is published after all others.
func (r *round) publish(nodes []*server) {
	r.c.t.Helper()
	var publishing sync.WaitGroup
	defer publishing.Wait()
	defer close(r.over)
	owners := 0
	for _, node := range nodes {
		for range socketPublishers {
			p := r.dial(node, owners)
			publishing.Go(p.send)
			defer p.hangUp()
			owners++
		}
		for i := range httpPublishers {
			first := owners
			publishing.Go(func() { r.post(node, first+i) })
		}
		owners += httpPublishers
	}
	r.c.awaitProgress("outcomes", &r.told, int64(r.count))
	ender := r.dial(nodes[0], owners)
	defer ender.hangUp()
	for channel := range crowdChannels {
		ender.say(fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%d}}`, channelName(channel), endOfRound))
	}
	r.c.awaitProgress("members that received the end", &r.c.marks, int64(len(r.c.members)))
}

// socketPublisher publishes as a client whose broadcasts have ids.
type socketPublisher struct {
	r     *round
	owner int
	conn  net.Conn
	over  atomic.Bool
	ended chan struct{} // closed when reading has ended

	writing sync.Mutex
}

func (r *round) dial(node *server, owner int) *socketPublisher {
	r.c.t.Helper()
	conn, early, _, err := ws.Dial(r.c.t.Context(), node.ws())
	if err != nil {
		r.c.t.Fatalf("%s: %v", node.ws(), err)
	}
	if early == nil {
		early = bufio.NewReader(conn)
	}
	p := &socketPublisher{r: r, owner: owner, conn: conn, ended: make(chan struct{})}
	go p.read(early)
	return p
}

func (p *socketPublisher) send() {
	for {
		n, ok := p.r.begin(p.owner)
		if !ok {
			return
		}
		p.say(fmt.Sprintf(`{"command":"broadcast","args":{"channel":%q,"content":%d},"id":%d}`, channelName(n%crowdChannels), n, n))
	}
}

func (p *socketPublisher) say(text string) { p.write(ws.OpText, []byte(text)) }

func (p *socketPublisher) write(op ws.OpCode, payload []byte) {
	p.writing.Lock()
	defer p.writing.Unlock()
	if err := writeFrame(p.conn, op, payload); err != nil && !p.over.Load() {
		p.r.c.t.Errorf("a publisher lost its connection: %v", err)
	}
}

// read handles the answers.
func (p *socketPublisher) read(from io.Reader) {
	defer close(p.ended)
	for {
		op, payload, err := readFrame(from)
		switch {
		case p.over.Load():
			return
		case err != nil || op == ws.OpClose:
			p.r.c.t.Errorf("a publisher lost its connection: %v %q", err, payload)
			return
		case op == ws.OpPing:
			p.write(ws.OpPong, payload)
		case op == ws.OpText:
			p.answer(payload)
		}
	}
}

func (p *socketPublisher) answer(text []byte) {
	var a struct {
		ID    int
		OK    bool
		Error struct{ Code, Message string }
	}
	switch err := json.Unmarshal(text, &a); {
	case err != nil || !a.OK && a.Error.Code != "broker_down":
		p.r.c.t.Errorf("a publisher got %s", text)
	case a.OK:
		p.r.tell(a.ID, accepted)
	default:
		p.r.tell(a.ID, outcomeOf(a.Error.Message))
	}
}

func (p *socketPublisher) hangUp() {
	p.over.Store(true)
	_ = p.conn.Close()
	<-p.ended
}

// post publishes by HTTP, one publication after another.
func (r *round) post(node *server, owner int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		p, ok := r.begin(owner)
		if !ok {
			return
		}
		body := fmt.Sprintf(`{"channel":%q,"content":%d}`, channelName(p%crowdChannels), p)
		answer, err := client.Post(node.http()+"/broadcast?key=dev", "application/json", strings.NewReader(body))
		if err != nil {
			r.c.t.Errorf("POST: %v", err)
			r.tell(p, unknown)
			continue
		}
		why, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		switch answer.StatusCode {
		case http.StatusCreated:
			r.tell(p, accepted)
		case http.StatusServiceUnavailable:
			r.tell(p, outcomeOf(string(why)))
		default:
			r.c.t.Errorf("POST: %s %s", answer.Status, why)
			r.tell(p, unknown)
		}
	}
}
