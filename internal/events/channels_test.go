package events

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// channelsOf returns Channels of a Sender that is not started, and a function that says what has
// settled when so much time has passed.
func channelsOf(t *testing.T, kinds ...string) (c *Channels, after func(d time.Duration) []string) {
	s, _ := open(t, "http://127.0.0.1:1", kinds...)
	return s.Channels(), func(d time.Duration) (all []string) {
		for _, e := range s.take(time.Now().Add(d)) {
			all = append(all, e.Kind.String()+" "+e.Channel)
		}
		return all
	}
}

func TestAChannelIsToldOnlyWhenItHasSettled(t *testing.T) {
	t.Parallel()
	c, after := channelsOf(t)
	expect := func(when string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	c.Subscribe("stays")
	c.Subscribe("goes")
	c.Unsubscribe("goes")
	expect("before the time", after(settleTime/2))
	expect("filled and emptied", after(settleTime), "occupied stays")
	c.Unsubscribe("stays")
	c.Subscribe("stays")
	expect("emptied and filled", after(settleTime))
	c.Unsubscribe("stays")
	c.Subscribe("stays")
	c.Unsubscribe("stays")
	c.Subscribe("other")
	expect("emptied for good", after(settleTime), "vacated stays", "occupied other")
	expect("nothing is told twice", after(settleTime))
	if n := c.waiting(); n != 0 {
		t.Errorf("%d channels are noted", n)
	}
}

// A channel that flaps without end is told only after it has been quiet for the whole time.
func TestTheTimeBeginsWithTheLastChange(t *testing.T) {
	t.Parallel()
	c, after := channelsOf(t)
	c.Subscribe("a")
	c.Unsubscribe("a")
	between := time.Now()
	c.Subscribe("a")
	if got := c.sender.take(between.Add(settleTime)); len(got) != 0 {
		t.Errorf("got %v three seconds after the first change", got)
	}
	if got := after(settleTime); len(got) != 1 {
		t.Errorf("got %v three seconds after the last", got)
	}
}

func TestWhatNobodyAskedForCancelsAllTheSame(t *testing.T) {
	t.Parallel()
	c, after := channelsOf(t, "vacated")
	c.Subscribe("short")
	c.Unsubscribe("short")
	for i := range 3 * maxBatch {
		c.Subscribe(fmt.Sprint(i))
	}
	c.Unsubscribe("old")
	if got := after(settleTime); !slices.Equal(got, []string{"vacated old"}) {
		t.Errorf("got %v", got)
	}
}

func TestNotedChannelsAreBounded(t *testing.T) {
	t.Parallel()
	c, after := channelsOf(t)
	c.most = 2000
	for i := range c.most + 1 {
		c.Subscribe(fmt.Sprint(i))
	}
	if lost := c.sender.Stats().Lost["queue_full"]; c.waiting() != c.most || lost != 1 {
		t.Errorf("%d channels are noted, %d are lost", c.waiting(), lost)
	}
	for all := after(settleTime); len(all) > 0; all = after(settleTime) {
		if len(all) != maxBatch {
			t.Fatalf("a batch of %d", len(all))
		}
	}
	if c.noted != nil {
		t.Error("the map keeps its memory")
	}
}
