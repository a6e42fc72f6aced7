package broker

import "testing"

// Who was refused is not overtaken for ever by those who come later: a full outbox
// takes nothing until it tells of room.
func TestAFullOutboxIsNotFilledByOthers(t *testing.T) {
	const places = 10
	large := publication{content: make([]byte, maxPublishBytes)} // a batch of its own
	o := newOutbox(places * (maxPublishBytes + publicationOverhead))
	fill := func() (n int) {
		for o.put(large) == nil {
			n++
		}
		return n
	}
	if n := fill(); n != places {
		t.Fatalf("%d publications were taken, want %d", n, places)
	}
	for range places {
		if _, room, _ := o.take(nil); room {
			return
		}
		fill() // by those who come in between
	}
	t.Error("there is never room for who was refused")
}
