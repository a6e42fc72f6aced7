package operate

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"wsify/internal/operate/live"
)

// publish notes n publications of a channel, as event loops do.
func publish(b *busiest, channel string, n int) {
	for range n {
		b.note([]byte(channel))
	}
}

// rateOf returns the rate of a channel in a list, -1 if it is not there.
func rateOf(top []live.Channel, name string) float64 {
	for _, c := range top {
		if c.Name == name {
			return c.Value
		}
	}
	return -1
}

func TestTheBusiestChannelsAreFoundAmongMany(t *testing.T) {
	b := newBusiest()
	b.interval(true)
	var top []live.Channel
	for range 20 {
		for i := range 200 {
			publish(b, fmt.Sprint("rare", i), 1)
		}
		publish(b, "hot", 300)
		publish(b, "warm", 100)
		top = b.interval(true)
	}
	if len(top) == 0 || len(top) > listLength || top[0].Name != "hot" || top[1].Name != "warm" {
		t.Fatalf("the busiest are %v", top)
	}
	for name, want := range map[string]float64{"hot": 300, "warm": 100} {
		if got := rateOf(top, name); math.Abs(got-want) > 20 {
			t.Errorf("%s has %v publications a second, want about %v", name, got, want)
		}
	}
	if n := len(b.of); n > sketchSize {
		t.Errorf("%d channels are counted, want at most %d", n, sketchSize)
	}
}

// TestManyPublicationsAreSampled: the rates are right, and not all are noted.
func TestManyPublicationsAreSampled(t *testing.T) {
	b := newBusiest()
	b.interval(true)
	var top []live.Channel
	noted := 0
	for range 60 {
		for range 10_000 {
			publish(b, "a", 3)
			publish(b, "b", 1)
		}
		noted = noteMost - b.left
		top = b.interval(true)
	}
	if noted > 1200 {
		t.Errorf("%d publications of 40,000 were noted, want about %d", noted, noteTarget)
	}
	for name, want := range map[string]float64{"a": 30_000, "b": 10_000} {
		if got := rateOf(top, name); got < want*.8 || got > want*1.2 {
			t.Errorf("%s has %v publications a second, want about %v", name, got, want)
		}
	}
}

func TestNothingIsNotedBeyondTheBoundOrUnlessWanted(t *testing.T) {
	b := newBusiest()
	if b.note([]byte("a")) {
		t.Error("a publication is wanted before anybody looks")
	}
	b.interval(true)
	for i := range noteMost {
		if !b.note([]byte("a")) {
			t.Fatalf("publication %d is not wanted", i)
		}
	}
	if b.note([]byte("a")) || b.of["a"].n != noteMost {
		t.Errorf("%v are noted, want %d", b.of["a"].n, noteMost)
	}
	b.interval(false)
	for range 100 { // about half of them are sampled
		b.note([]byte("a"))
	}
	if len(b.of) != 0 {
		t.Errorf("%d channels are counted while nobody looks", len(b.of))
	}
}

// TestSilentChannelsFade, so that the list is that of now.
func TestSilentChannelsFade(t *testing.T) {
	b := newBusiest()
	b.interval(true)
	publish(b, "a", 500)
	for range 80 {
		b.interval(true)
	}
	if len(b.of) != 0 {
		t.Errorf("a channel that had publications 80 s ago is counted: %v", *b.of["a"])
	}
}

func TestLoopsNoteAtTheSameTime(t *testing.T) {
	b := newBusiest()
	b.interval(true)
	var loops sync.WaitGroup
	for i := range 4 {
		loops.Go(func() { publish(b, fmt.Sprint(i), 10_000) })
	}
	for range 10 {
		b.interval(true)
	}
	loops.Wait()
}

func TestNotingAllocatesNothingForAKnownChannel(t *testing.T) {
	b, name := newBusiest(), []byte("a")
	b.interval(true)
	b.note(name)
	if n := testing.AllocsPerRun(100, func() { b.note(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheLargestChannelsAreFoundPieceByPiece(t *testing.T) {
	source := &testSource{channels: map[string]int{"large": 900, "larger": 1000}}
	for i := range 2*censusSlice + 10 {
		source.channels[fmt.Sprint(i)] = i % 500
	}
	var c census
	defer c.end()
	rounds := 1
	for c.advance(source); c.last == nil; c.advance(source) {
		rounds++
	}
	if rounds != 3 {
		t.Errorf("a round took %d intervals, want 3", rounds)
	}
	if got := c.last; len(got) != listLength || got[0] != (live.Channel{Name: "larger", Value: 1000}) || got[1].Name != "large" || got[2].Value != 499 {
		t.Errorf("the largest are %v", got)
	}
	source.channels = map[string]int{"new": 1}
	c.advance(source)
	if got := c.advance(source); len(got) != 1 || got[0].Name != "new" {
		t.Errorf("a round later the largest are %v", got)
	}
}

func TestLongNamesAreCut(t *testing.T) {
	top := insert(nil, strings.Repeat("é", 200), 1)
	if got := top[0].Name; len(got) > maxShownName+len("…") || !utf8.ValidString(got) || !strings.HasSuffix(got, "é…") {
		t.Errorf("the name is %q", got)
	}
}

// TestNamesOfChannelsAreShownOnlyIfSwitchedOn checks what a page receives.
func TestNamesOfChannelsAreShownOnlyIfSwitchedOn(t *testing.T) {
	for _, on := range []bool{false, true} {
		source := &testSource{stats: zeros(), channels: map[string]int{"secret": 3}}
		a := newTestAdmin(source)
		a.sampler = NewSampler(on)
		a.sampler.charts.board = a.board
		sample := func() { a.sampler.sample(source, timeAfter(a)) }
		sample()
		events := make(chan string, 100)
		go a.board.Events(chanWriter{httptest.NewRecorder(), events}, httptest.NewRequestWithContext(t.Context(), "GET", "/events", nil))
		<-events // the history
		sample() // nobody was there in the interval before
		<-events
		for range 5 {
			a.sampler.Stamp([]byte("secret"))
		}
		sample()
		_, data, _ := strings.Cut(<-events, "data: ")
		var got struct{ Notes live.Notes }
		if err := json.Unmarshal([]byte(data), &got); err != nil {
			t.Fatal(err)
		}
		switch c := got.Notes.Channels; {
		case !on && (c != nil || strings.Contains(data, "secret")):
			t.Errorf("names are shown: %s", data)
		case on && (c == nil || rateOf(c.Busiest, "secret") <= 0 || rateOf(c.Largest, "secret") != 3):
			t.Errorf("with -admin-channels: %s", data)
		}
		a.sampler.Stop()
	}
}
