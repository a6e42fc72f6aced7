package netpoll

import (
	"net"
	"strings"
	"testing"
	"time"
)

// workday is a loop whose clock only its handler advances: by a millisecond for
// each event.
type workday struct {
	*probe
	clients []net.Conn
	ids     []uint64
	quiet   net.Conn // a client that sends nothing
	quietID uint64
	now     time.Duration // the loop's
	release func()
}

// newWorkday connects so many clients and sends text from each. It holds the loop
// until release, so that all of them are one batch.
func newWorkday(t *testing.T, clients int, text string, h hooks) *workday {
	d := &workday{}
	data := h.data
	h.data = func(c *Conn, p []byte) {
		d.now += time.Millisecond
		data(c, p)
	}
	d.probe = newProbe(t, Config{}, h)
	for range clients {
		client, id := d.connect()
		d.clients, d.ids = append(d.clients, client), append(d.ids, id)
	}
	d.quiet, d.quietID = d.connect()
	on(t, d.l, func() { d.l.now = func() time.Duration { return d.now } })
	d.rounds(2) // no batch of the real clock is left
	d.release = d.hold()
	for _, c := range d.clients {
		write(t, c, text)
	}
	return d
}

func TestATurnThatIsAskedForWaitsForAPartOfTheBatchOnly(t *testing.T) {
	const clients = 100
	events, since, most := 0, 0, 0
	d := newWorkday(t, clients, "x", hooks{
		data: func(c *Conn, _ []byte) {
			events, since = events+1, since+1
			most = max(most, since)
			c.Loop().Wake()
		},
		turn: func() bool { since = 0; return false },
	})
	d.release()
	for range clients {
		await(t, d.data, "Data")
	}
	on(t, d.l, func() {
		if events < clients || most > lookEvents {
			t.Errorf("a turn waited for %d of %d events, want at most %d", most, events, lookEvents)
		}
	})
}

func TestABatchWithoutAWakeHasNoTurn(t *testing.T) {
	turns := 0
	d := newWorkday(t, 100, "x", hooks{
		data: func(*Conn, []byte) {},
		turn: func() bool { turns++; return false },
	})
	var before int
	d.l.Post(func() { before = turns })
	d.release()
	for range 100 {
		await(t, d.data, "Data")
	}
	on(t, d.l, func() {
		if turns > before+3 { // the turns of this test's own tasks
			t.Errorf("%d turns for 100 events that requested none", turns-before)
		}
	})
}

// A freed slot must not serve another connection before the batch is over: a later
// event of the batch may name it.
func TestATurnInsideABatchLeavesSlotsInLimbo(t *testing.T) {
	const clients = 100
	var d *workday
	events := 0
	var gone uint32
	opened, reused := 0, 0
	d = newWorkday(t, clients, "x", hooks{
		data: func(c *Conn, _ []byte) {
			if events++; events == 1 {
				gone = c.Slot()
				c.Close(ReasonUser)
			}
			c.Loop().Wake()
		},
		opened: func(c *Conn) {
			if events == 0 || events == clients {
				return
			}
			if opened++; c.Slot() == gone {
				reused++
			}
		},
		turn: func() bool {
			if events > 0 && events < clients {
				ours, _ := socketPair(t) // the peer is closed with the test
				if err := d.g.Adopt(ours, nil); err != nil {
					t.Error(err)
				}
			}
			return false
		},
	})
	d.release()
	for range clients {
		await(t, d.data, "Data")
	}
	on(t, d.l, func() {
		if reused > 0 {
			t.Error("the slot of a connection that ended in a batch served another one in it")
		}
		if opened < 4 {
			t.Errorf("%d connections were opened inside the batch, the test needs some", opened)
		}
	})
}

// On this clock a read of any size takes a millisecond: all the time that the reads of a
// batch may take before they become small.
func TestManyThatAreReadableAtOnceShareTheTimeOfABatch(t *testing.T) {
	const clients = 64
	d := newWorkday(t, clients, strings.Repeat("x", 64<<10), hooks{data: func(*Conn, []byte) {}})
	d.release()
	for i := range clients {
		most := 64 << 10
		if i >= 2 {
			most = leastShare
		}
		if n := len(await(t, d.data, "Data")); n > most {
			t.Fatalf("read %d bytes of connection %d of a batch of %d, want %d at most", n, i, clients, most)
		}
	}
}

// Connections that had more to read are read after new ones, and in turn.
func TestConnectionsWithMoreAreReadInTurnBehindAllOthers(t *testing.T) {
	if pollerUnderTest == PollerEasygo {
		t.Skip("easygo does not tell which events are of a batch")
	}
	const talkers, rounds = 64, 3
	var d *workday
	var order []uint64
	done := make(chan struct{})
	d = newWorkday(t, talkers, strings.Repeat("x", 128<<10), hooks{data: func(c *Conn, _ []byte) {
		if order = append(order, c.ID()); len(order) == talkers/2 {
			write(t, d.quiet, "x") // epoll reports it after all others, which have more
		}
		if len(order) == (1+rounds)*talkers+1 {
			close(done)
		}
	}})
	d.release()
	await(t, done, "all reads")
	on(t, d.l, func() {
		if order[talkers] != d.quietID {
			t.Errorf("read %d was of %d, want of %d, which had sent nothing before", talkers, order[talkers], d.quietID)
		}
		for round := range rounds {
			read := map[uint64]bool{}
			for _, id := range order[1+(1+round)*talkers:][:talkers] {
				read[id] = true
			}
			if len(read) != talkers {
				t.Errorf("round %d: %d of %d were read, and some twice", round, len(read), talkers)
			}
		}
	})
}
