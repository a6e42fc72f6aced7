package pubsub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// delivered collects what a hub hands out, as "member content".
type delivered struct {
	mu   sync.Mutex
	seen []string
}

func (d *delivered) server() *Server[int] {
	return NewServer(func(members []int, content []byte) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, m := range members {
			d.seen = append(d.seen, fmt.Sprintf("%d %s", m, content))
		}
	})
}

// take returns what was delivered since the last call, sorted.
func (d *delivered) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := slices.Sorted(slices.Values(d.seen))
	d.seen = nil
	return seen
}

func handle(t *testing.T, s *Session[int], message, want string) {
	t.Helper()
	if got := string(s.Handle([]byte(message))); got != want {
		t.Errorf("Handle(%s) = %s, want %s", message, got, want)
	}
}

func TestJoiningTwiceIsOneMembership(t *testing.T) {
	var d delivered
	s := d.server().Open(1)
	handle(t, s, `{"command":"join","args":{"channel":"a"}}`, "")
	handle(t, s, `{"command":"join","args":{"channel":" a "}}`, "")
	handle(t, s, `{"command":"broadcast","args":{"channel":"a","content":1}}`, "")
	if got := d.take(); !slices.Equal(got, []string{"1 1"}) {
		t.Errorf("delivered %q, want it once", got)
	}
	handle(t, s, `{"command":"leave","args":{"channel":"a"}}`, "")
	handle(t, s, `{"command":"leave","args":{"channel":"a"}}`, "")
	handle(t, s, `{"command":"broadcast","args":{"channel":"a","content":1}}`, "")
	if got := d.take(); len(got) != 0 {
		t.Errorf("delivered %q to who has left", got)
	}
}

// TestHubAgreesWithASet joins, leaves and closes at random, over channels small
// and large, and compares with the plainest table there is.
func TestHubAgreesWithASet(t *testing.T) {
	const sessions, channels, steps = 3 * crowded, 4, 20_000
	random := rand.New(rand.NewPCG(1, 2))
	var d delivered
	server := d.server()
	open := make([]*Session[int], sessions)
	model := make([]map[int]bool, channels)
	for i := range model {
		model[i] = make(map[int]bool)
	}
	for i := range open {
		open[i] = server.Open(i)
	}
	for range steps {
		i, c := random.IntN(sessions), random.IntN(channels)
		name := fmt.Sprintf("channel %d", c)
		switch random.IntN(20) {
		case 0:
			open[i].Close()
			for _, members := range model {
				delete(members, i)
			}
		case 1:
			server.Publish(name, []byte("x"))
			if got := d.take(); !slices.Equal(got, lines(model[c])) {
				t.Fatalf("delivered %q, want %q", got, lines(model[c]))
			}
		case 2, 3, 4, 5, 6, 7:
			open[i].leave(name)
			delete(model[c], i)
		default:
			open[i].join(name)
			model[c][i] = true
		}
	}
	for _, s := range open {
		s.Close()
	}
	for i := range server.hub.shards {
		if n := len(server.hub.shards[i].channels); n != 0 {
			t.Errorf("%d channels without members are kept", n)
		}
	}
}

func lines(members map[int]bool) []string {
	var all []string
	for m := range members {
		all = append(all, fmt.Sprintf("%d x", m))
	}
	slices.Sort(all)
	return all
}

func TestHubBearsJoinsAndPublicationsAtOnce(t *testing.T) {
	var d delivered
	server := d.server()
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			s := server.Open(i)
			defer s.Close()
			for n := range 500 {
				name := fmt.Sprint(n % 3)
				s.join(name)
				server.Publish(name, nil)
				s.leave(name)
			}
		})
	}
	work.Wait()
	for i := range server.hub.shards {
		if n := len(server.hub.shards[i].channels); n != 0 {
			t.Errorf("%d channels without members are kept", n)
		}
	}
}
