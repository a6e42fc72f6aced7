package test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The size of a crowd, and how many clients dial at once.
const (
	crowdChannels = 1000
	crowdMembers  = 10_000 // on two nodes alternately
	crowdDialers  = 64
)

// crowd is many clients of two nodes in this process. Each is a member of one channel, and every
// channel has as many members on one node as on the other. A goroutine for each client counts what
// it receives.
type crowd struct {
	t       *testing.T
	driver  string // the broker's
	members []*member
	joined  atomic.Int64
	marks   atomic.Int64 // ends of rounds that were received
	now     atomic.Pointer[round]
	closing atomic.Bool
	reading sync.WaitGroup
}

// member is one client of a crowd.
type member struct {
	conn    net.Conn
	channel int
	node    int

	mu    sync.Mutex
	heard []int32 // publications of the round, in the order received
	marks int
}

// endOfRound is the content that ends a round; the others are numbers from 0.
const endOfRound = -1

func channelName(channel int) string { return fmt.Sprintf("crowd-%d", channel) }

// newCrowd connects a crowd and waits until every join is answered.
func newCrowd(t *testing.T, driver string, nodes []*server) *crowd {
	t.Helper()
	c := &crowd{t: t, driver: driver, members: make([]*member, crowdSize(t))}
	t.Cleanup(c.close)
	var dialing sync.WaitGroup
	for first := range crowdDialers {
		dialing.Go(func() {
			for i := first; i < len(c.members) && !t.Failed(); i += crowdDialers {
				c.members[i] = &member{channel: i % crowdChannels, node: i / crowdChannels % len(nodes)}
				c.connect(c.members[i], nodes[i/crowdChannels%len(nodes)].ws())
			}
		})
	}
	dialing.Wait()
	c.awaitProgress("joins", &c.joined, int64(len(c.members)))
	return c
}

// crowdSize is how many clients this process has descriptors for.
func crowdSize(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const others, step = 512, 2 * crowdChannels
	size := min(crowdMembers, int(min(limit.Cur, 1<<20)-others)/step*step)
	if size < step {
		t.Skipf("the limit of %d descriptors leaves no room for %d clients", limit.Cur, step)
	}
	if size < crowdMembers {
		t.Logf("only %d clients, by the limit of %d descriptors", size, limit.Cur)
	}
	return size
}

// connect dials and sends a join.
func (c *crowd) connect(m *member, url string) {
	dialer := ws.Dialer{ReadBufferSize: 512, WriteBufferSize: 256, Timeout: patience}
	conn, early, _, err := dialer.Dial(c.t.Context(), url)
	if err != nil {
		c.t.Errorf("%s: %v", url, err)
		return
	}
	m.conn = conn
	if early == nil {
		early = bufio.NewReaderSize(conn, 512)
	}
	c.reading.Go(func() { c.read(m, early) })
	join := fmt.Sprintf(`{"command":"join","args":{"channel":%q},"id":"join"}`, channelName(m.channel))
	if err := writeFrame(conn, ws.OpText, []byte(join)); err != nil {
		c.t.Errorf("%s: join: %v", url, err)
	}
}

// read counts the messages of a member until its connection ends, which it must not.
func (c *crowd) read(m *member, from *bufio.Reader) {
	for {
		op, payload, err := readFrame(from)
		switch {
		case c.closing.Load():
			return
		case err != nil:
			c.t.Errorf("a client of node %d lost its connection: %v", m.node+1, err)
			return
		case op == ws.OpPing:
			_ = writeFrame(m.conn, ws.OpPong, payload)
		case op == ws.OpText:
			c.hear(m, string(payload))
		default:
			c.t.Errorf("a client of node %d got a frame %d: %q", m.node+1, op, payload)
			return
		}
	}
}

// hear handles one text message.
func (c *crowd) hear(m *member, text string) {
	number, err := strconv.Atoi(text)
	switch {
	case text == `{"id":"join","ok":true}`:
		c.joined.Add(1)
	case err != nil:
		c.t.Errorf("a client of node %d received %s", m.node+1, text)
	case number == endOfRound:
		m.mu.Lock()
		m.marks++
		m.mu.Unlock()
		c.marks.Add(1)
	default:
		m.mu.Lock()
		m.heard = append(m.heard, int32(number))
		m.mu.Unlock()
		c.now.Load().delivered(number)
	}
}

// of returns the members of a channel.
func (c *crowd) of(channel int) (members []*member) {
	for i := channel; i < len(c.members); i += crowdChannels {
		members = append(members, c.members[i])
	}
	return members
}

// close ends every connection and waits for the readers.
func (c *crowd) close() {
	c.closing.Store(true)
	for _, m := range c.members {
		if m != nil && m.conn != nil {
			_ = m.conn.Close()
		}
	}
	c.reading.Wait()
}

// awaitProgress waits until a count is reached. It fails when the count does not grow for the
// test's patience, however long all of it takes.
func (c *crowd) awaitProgress(what string, count *atomic.Int64, want int64) {
	c.t.Helper()
	const every = 5 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	for ; ; <-tick.C {
		now := count.Load()
		switch {
		case now >= want:
			return
		case c.t.Failed():
			c.t.Fatalf("%d of %d %s", now, want, what)
		case now != last:
			last, since = now, time.Now()
		case time.Since(since) > patience:
			c.t.Fatalf("%d of %d %s, and none in %s", now, want, what, patience)
		}
	}
}
