package session

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// follower is a client that reconnects from where it was. It counts: the channel's
// publications are the numbers from 1 on.
type follower struct {
	t        *testing.T
	srv      *Server
	next     int    // the number that comes next; 0 while it is not known
	position string // of a channel that is this number of publications old
}

// follow reads until the number last. Now and then it drops its connection, and joins from the
// last position that it knows: that of the reply, moved on by what came since.
func (f *follower) follow(random *rand.Rand, last int) {
	for f.next <= last {
		p := connect(f.t, f.srv, "/ws")
		f.join(p)
		for reads := random.IntN(40); reads > 0 && f.next <= last; reads-- {
			got, err := p.next()
			if err != nil {
				f.t.Errorf("reading: %v", err)
				return
			}
			if !f.got(got.payload) {
				return
			}
		}
		p.reset()
	}
}

func (f *follower) join(p *peer) {
	args := ""
	if f.position != "" {
		args = fmt.Sprintf(`,"since":%q`, f.position)
	}
	p.send(fmt.Sprintf(`{"command":"join","args":{"channel":"h"%s},"id":77}`, args))
	for {
		got, err := p.next()
		if err != nil {
			f.t.Errorf("joining: %v", err)
			return
		}
		if !strings.Contains(got.payload, `"id":77`) {
			if !f.got(got.payload) {
				return
			}
			continue
		}
		var r joinReply
		if err := json.Unmarshal([]byte(got.payload), &r); err != nil || !r.OK || args != "" && !*r.Recovered {
			f.t.Errorf("the reply is %s", got.payload)
		}
		f.reached(r.Position)
		return
	}
}

// reached compares a position of the server with what was received.
func (f *follower) reached(position string) {
	_, offset, _ := strings.Cut(position, "-")
	n, _ := strconv.Atoi(offset)
	if f.next != 0 && f.next != n+1 {
		f.t.Errorf("the server's position is %s, and the next number %d", position, f.next)
	}
	f.next, f.position = n+1, position
}

// got takes a publication.
func (f *follower) got(text string) bool {
	if text != strconv.Itoa(f.next) {
		f.t.Errorf("got %s, want %d", text, f.next)
		return false
	}
	epoch, _, _ := strings.Cut(f.position, "-")
	f.position = fmt.Sprint(epoch, "-", f.next)
	f.next++
	return true
}

// Clients drop and come back while others publish as fast as they can: each gets exactly the
// sequence.
func TestEveryClientOfAHotChannelGetsTheSequence(t *testing.T) {
	const clients, last, publishers = 20, 4000, 2
	srv := start(t, keepHistory(Config{}, last, 64<<20))
	var running sync.WaitGroup
	for n := range clients {
		f := &follower{t: t, srv: srv}
		p := connect(t, srv, "/ws")
		f.join(p)
		p.reset()
		running.Go(func() { f.follow(rand.New(rand.NewPCG(uint64(n), 2)), last) })
	}
	var lock sync.Mutex
	published := 0
	for range publishers {
		running.Go(func() {
			for {
				lock.Lock() // the numbers are in the order of the publications
				if published == last {
					lock.Unlock()
					return
				}
				published++
				_, _, err := srv.broker.Publish(nil, []byte("h"), []byte(strconv.Itoa(published)), nil)
				lock.Unlock()
				if err != nil {
					t.Errorf("publishing: %v", err)
					return
				}
			}
		})
	}
	running.Wait()
	if st := srv.Stats(); st.HistoryGaps != 0 || st.HistoryDoubles != 0 || st.Recoveries["lost"] != 0 {
		t.Errorf("there were %d gaps, %d doubles; recoveries: %v", st.HistoryGaps, st.HistoryDoubles, st.Recoveries)
	}
}
