package broker

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// A channel that moves to another server is deaf and asked for again at once, and its joins go on
// waiting. After a second move in a row it counts as unreachable.
func TestMovedChannelIsAskedForAtOnce(t *testing.T) {
	tab, now := newTable(), time.Now()
	tab.want("c")
	tab.opened(time.Now())
	tab.take(now)
	var told error
	if pending, err := tab.await("c", func(err error) { told = errors.Join(err, errBusy) }, now); !pending {
		t.Fatal(err)
	}
	for _, again := range []bool{true, false} {
		first, _ := tab.end("c", now, ErrMoved)
		tell(first, ErrDown)
		if again != (told == nil) || !tab.isDeaf("c") || tab.settled(now) {
			t.Fatalf("told %v, deaf %t, settled %t", told, tab.isDeaf("c"), tab.settled(now))
		}
		if names, _ := tab.take(now); again != slices.Equal(names, []string{"c"}) {
			t.Fatalf("asked for %q", names)
		}
	}
	tab.returned()
	tab.take(now)
	tab.confirm("c", now)
	if tab.isDeaf("c") || !tab.settled(now) {
		t.Errorf("deaf %t, settled %t after it was confirmed", tab.isDeaf("c"), tab.settled(now))
	}
	if _, known := tab.end("d", now, ErrMoved); known {
		t.Error("end knows a channel that is not in the table")
	}
}
