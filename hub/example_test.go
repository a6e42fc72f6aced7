package hub_test

import (
	"fmt"

	"wsify/hub"
	"wsify/internal/buffer"
)

// printer is a minimal Sink and Watcher. A server would write to an eventfd, and
// record subscriptions for its broker.
type printer struct{}

func (printer) Wake(loop int)            { fmt.Println("wake loop", loop) }
func (printer) Room(w *hub.Waiter)       { fmt.Println("room for", w.ID) }
func (printer) Subscribe(channel string) { fmt.Println("subscribe", channel) }
func (printer) Unsubscribe(name string)  { fmt.Println("unsubscribe", name) }

// publish encodes nothing: its frame is the text itself.
func publish(h *hub.Hub, channel, text string) {
	b := buffer.New(len(text))
	b.Append([]byte(text), 1)
	defer b.Release()
	h.Publish([]byte(channel), &hub.Frames{hub.Raw: b})
}

// deliver is a turn of an event loop.
func deliver(l *hub.Local) {
	l.Take()
	for {
		s, ok := l.Next(256)
		if !ok {
			return
		}
		for _, m := range s.Members {
			fmt.Printf("conn %d <- %s\n", m.Conn, s.Buffer.Bytes())
		}
	}
}

// All that is published before the loop delivers reaches each member in one send.
func Example() {
	h := hub.New(hub.Config{Loops: 1, Sink: printer{}, Watcher: printer{}})
	l := h.Local(0)
	var ann, bob hub.Memberships
	l.Join(1, &ann, []byte("news"))
	l.Join(2, &bob, []byte("news"))
	publish(h, "news", "hello")
	publish(h, "news", " again")
	deliver(l)
	l.LeaveAll(1, &ann)
	l.LeaveAll(2, &bob)
	// Output:
	// subscribe news
	// wake loop 0
	// conn 1 <- hello again
	// conn 2 <- hello again
	// unsubscribe news
}

// A publisher that is faster than the loops waits for room.
func ExampleHub_AwaitRoom() {
	h := hub.New(hub.Config{Loops: 1, MaxPendingBytes: 8, Sink: printer{}, Watcher: printer{}})
	l := h.Local(0)
	var ann hub.Memberships
	l.Join(1, &ann, []byte("news"))
	publish(h, "news", "12345678")
	w := &hub.Waiter{ID: 42}
	fmt.Println("waits:", h.AwaitRoom([]byte("news"), 1, w))
	deliver(l)
	publish(h, "news", "9")
	h.Forgo(w)
	// Output:
	// subscribe news
	// wake loop 0
	// waits: true
	// conn 1 <- 12345678
	// room for 42
	// wake loop 0
}

func ExampleMemberships() {
	h := hub.New(hub.Config{Loops: 1, Sink: printer{}, Watcher: printer{}})
	l := h.Local(0)
	var ann hub.Memberships
	fmt.Println(l.Join(1, &ann, []byte("news")), l.Join(1, &ann, []byte("news")), ann.Count())
	fmt.Println(h.Stats())
	fmt.Println(l.Leave(1, &ann, []byte("news")), l.Leave(1, &ann, []byte("news")), ann.Count())
	// Output:
	// subscribe news
	// true false 1
	// {1 1}
	// unsubscribe news
	// true false 0
}
