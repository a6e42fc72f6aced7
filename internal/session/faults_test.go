package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"wsify/internal/testtool"
)

const joinHot = `{"command":"join","args":{"channel":"hot"}}`

// A publisher is a member of channel "hot" that publishes 0, 1, 2 and so on to it
// until end is called. It also receives them. At most window publications are in
// flight at once, so that no member that reads is slow.
type publisher struct {
	p    *peer
	stop atomic.Bool
	done chan error
	sent int // valid once done
}

const window = 64

func startPublisher(t *testing.T, srv *Server) *publisher {
	t.Helper()
	pub := &publisher{p: connect(t, srv, "/ws"), done: make(chan error, 1)}
	pub.p.join("hot")
	go func() { pub.done <- pub.run() }()
	return pub
}

func (pub *publisher) run() error {
	for !pub.stop.Load() {
		var burst strings.Builder
		for i := range window {
			burst.WriteString(message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"hot","content":%d}}`, pub.sent+i)))
		}
		if err := pub.p.tryWrite(burst.String()); err != nil {
			return err
		}
		for range window {
			if err := pub.p.hears(pub.sent); err != nil {
				return fmt.Errorf("publisher: %w", err)
			}
			pub.sent++
		}
	}
	return nil
}

// end stops the publisher and returns how many publications it made.
func (pub *publisher) end(t *testing.T) int {
	t.Helper()
	pub.stop.Store(true)
	if err := <-pub.done; err != nil {
		t.Fatal(err)
	}
	return pub.sent
}

// hears reads one message and compares it with want.
func (p *peer) hears(want int) error {
	f, err := p.next()
	if err != nil || f.op != opText || f.payload != strconv.Itoa(want) {
		return fmt.Errorf("got %v, %v; want text %d", f, err, want)
	}
	return nil
}

// A listener reads consecutive numbers, beginning with first, until it knows the total
// and has all.
func (p *peer) hearsAll(first int, total <-chan int) error {
	for next := first; ; next++ {
		select {
		case n := <-total:
			for ; next < n; next++ {
				if err := p.hears(next); err != nil {
					return err
				}
			}
			return nil
		default:
		}
		if err := p.hears(next); err != nil {
			return err
		}
	}
}

// Version 3 crashed when a member reset its connection during a publication to its
// channel.
func TestResetsWhileTheirChannelIsPublishedTo(t *testing.T) {
	t.Parallel()
	const wave, waves = 250, 16
	srv := startOn(t, anyAddr, Config{})
	pub := startPublisher(t, srv)
	for range waves {
		clients := make([]rawClient, wave)
		inParallel(t, 4, wave, func(worker, i int) (err error) {
			if clients[i], err = dialRaw(srv.Addr(), worker+1); err == nil {
				err = clients[i].upgrade()
			}
			if err == nil {
				err = clients[i].write(message(joinHot))
			}
			return err
		})
		testtool.Until(t, "the wave has joined", func() bool { return srv.members(t, "hot") >= 1+wave })
		for _, c := range clients {
			c.reset()
		}
	}
	n := pub.end(t)
	idle(t, srv, 1, 1, 1)
	pub.p.reset()
	idle(t, srv, 0, 0, 0)
	if st := srv.Stats(); st.Closed["reset"] < uint64(waves*wave*9/10) {
		t.Errorf("%d of %d connections ended by reset", st.Closed["reset"], waves*wave)
	}
	t.Logf("%d publications during %d resets", n, waves*wave)
}

// Each publication needs several slices here. Other members join, leave, close and
// reset between the slices. A member that stays gets every publication once, in
// order (I14).
func TestMembersThatStayHearEverythingWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	const steady, comers, bursts = 1000, 1000, 4
	srv := startOn(t, anyAddr, Config{PingInterval: time.Hour}) // listeners send nothing
	first := connect(t, srv, "/ws")
	first.join("hot")
	peers := make([]*peer, steady)
	for i := range peers {
		peers[i] = connect(t, srv, "/ws")
		peers[i].join("hot")
	}
	total := make([]chan int, steady)
	errs := make(chan error, steady)
	for i, p := range peers {
		total[i] = make(chan int, 1)
		go func() { errs <- p.hearsAll(0, total[i]) }()
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() { comeAndGo(t, srv, w, comers/4, &stop) })
	}
	pub := &publisher{p: first, done: make(chan error, 1)}
	go func() { pub.done <- pub.run() }()
	testtool.Until(t, "publications", func() bool { return srv.Stats().Broadcasts["client"] >= bursts*window })
	n := pub.end(t)
	stop.Store(true)
	wg.Wait()
	for _, tell := range total {
		tell <- n
	}
	// A listener that is ahead waits for one more publication before it checks the total.
	pub.stop.Store(false)
	first.broadcast("hot", strconv.Itoa(n))
	for range peers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	idle(t, srv, steady+1, 1, steady+1)
}

// comeAndGo makes n connections join, leave, close and reset, repeatedly.
func comeAndGo(t *testing.T, srv *Server, worker, n int, stop *atomic.Bool) {
	random := rand.New(rand.NewPCG(uint64(worker), 1))
	clients := make([]rawClient, n)
	for i := range clients {
		clients[i].fd = -1
	}
	for !stop.Load() {
		c := &clients[random.IntN(n)]
		var err error
		switch dice := random.IntN(10); {
		case c.fd < 0:
			if *c, err = dialRaw(srv.Addr(), worker+1); err == nil {
				err = c.write(upgradeHead("/ws") + message(joinHot))
			}
		case dice < 4:
			err = c.write(message(joinHot))
		case dice < 8:
			err = c.write(message(`{"command":"leave","args":{"channel":"hot"}}`))
		case dice < 9:
			c.reset()
			c.fd = -1
		default:
			_ = c.write(closing(1000, ""))
			c.close()
			c.fd = -1
		}
		if err != nil && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) { // a slow consumer may be closed
			t.Error(err)
			return
		}
	}
	for _, c := range clients {
		if c.fd >= 0 {
			c.reset()
		}
	}
}
