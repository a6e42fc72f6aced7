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
	tab.opened()
	tab.take(now)
	var told error
	if pending, err := tab.await([]byte("c"), func(err error) { told = errors.Join(err, errBusy) }, now); !pending {
		t.Fatal(err)
	}
	for _, again := range []bool{true, false} {
		if got := tab.move("c", now); got != again {
			t.Fatalf("moved: %t, want %t", got, again)
		}
		if told != nil || !tab.isDeaf([]byte("c")) {
			t.Fatalf("told %v, deaf %t", told, tab.isDeaf([]byte("c")))
		}
		if names, _ := tab.take(now); again != slices.Equal(names, []string{"c"}) {
			t.Fatalf("asked for %q", names)
		}
	}
	tell(tab.confirm("c", now), nil)
	if told == nil || tab.isDeaf([]byte("c")) {
		t.Errorf("told %v, deaf %t after it was confirmed", told, tab.isDeaf([]byte("c")))
	}
	if tab.move("d", now) {
		t.Error("a channel that is not there has moved")
	}
}
