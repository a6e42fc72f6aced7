package broker

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// A channel whose server gave it to another one is deaf, and asked for again at once; who
// waits goes on waiting. The second time in a row it is away like others.
func TestMovedChannelIsAskedForAtOnce(t *testing.T) {
	tab, now := newTable(), time.Now()
	tab.want("c")
	tab.opened(time.Now())
	tab.take(now)
	var told error
	if pending, err := tab.await([]byte("c"), func(err error) { told = errors.Join(err, errBusy) }, now); !pending {
		t.Fatal(err)
	}
	for _, again := range []bool{true, false} {
		tell(tab.end("c", now, ErrMoved), ErrDown)
		if again != (told == nil) || !tab.isDeaf([]byte("c")) || tab.settled(now) {
			t.Fatalf("told %v, deaf %t, settled %t", told, tab.isDeaf([]byte("c")), tab.settled(now))
		}
		if names, _ := tab.take(now); again != slices.Equal(names, []string{"c"}) {
			t.Fatalf("asked for %q", names)
		}
	}
	tab.returned()
	tab.take(now)
	tab.confirm("c", now)
	if tab.isDeaf([]byte("c")) || !tab.settled(now) {
		t.Errorf("deaf %t, settled %t after it was confirmed", tab.isDeaf([]byte("c")), tab.settled(now))
	}
	if tab.end("d", now, ErrMoved) != nil {
		t.Error("somebody waits for a channel that is not there")
	}
}
