package auth

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func ask(user string, conn uint64, text string) Question {
	return Question{User: user, Conn: conn, Text: []byte(text)}
}

// kept is an answer that may be kept for a minute.
func kept(public bool) *Answer { return &Answer{MaxAge: time.Minute, Public: public} }

// has reports whether c has an answer to q.
func has(c *Cache, q Question) bool {
	_, _, ok := c.Get(q)
	return ok
}

func TestAnAnswerIsForThoseWhomItMayBeGivenTo(t *testing.T) {
	c := NewCache(10)
	c.Keep(ask("ann", 1, "a"), Allow, kept(false))
	c.Keep(ask("", 2, "b"), Allow, kept(false))
	c.Keep(ask("ann", 1, "c"), Allow, kept(true))
	for _, tc := range []struct {
		q    Question
		want bool
	}{
		{ask("ann", 1, "a"), true},
		{ask("ann", 9, "a"), true}, // another connection of the user
		{ask("bob", 1, "a"), false},
		{ask("", 1, "a"), false},
		{ask("ann", 1, "a "), false}, // byte for byte
		{ask("", 2, "b"), true},
		{ask("", 3, "b"), false},
		{ask("ann", 2, "b"), false},
		{ask("bob", 7, "c"), true},
		{ask("", 7, "c"), true},
	} {
		if got := has(c, tc.q); got != tc.want {
			t.Errorf("user %q, connection %d, %q: kept is %t, want %t", tc.q.User, tc.q.Conn, tc.q.Text, got, tc.want)
		}
	}
}

func TestDecisionAndAnswerComeBack(t *testing.T) {
	c := NewCache(10)
	no := &Answer{MaxAge: time.Minute, Reason: "why"}
	c.Keep(ask("ann", 1, "a"), Deny, no)
	if d, a, ok := c.Get(ask("ann", 1, "a")); !ok || d != Deny || a != no {
		t.Errorf("Get = %v, %+v, %t; want what was kept", d, a, ok)
	}
}

func TestWhatMustNotBeKeptIsNot(t *testing.T) {
	c := NewCache(10)
	c.Keep(ask("ann", 1, "a"), Allow, nil)
	c.Keep(ask("ann", 1, "a"), Allow, &Answer{User: "ann"})
	c.Keep(ask("ann", 1, "a"), Down, kept(false))
	c.Keep(ask("ann", 1, strings.Repeat("a", maxQuestion+1)), Allow, kept(false))
	if c.Used() {
		t.Error("something is kept")
	}
	longest := ask("ann", 1, strings.Repeat("a", maxQuestion))
	if c.Keep(longest, Allow, kept(false)); !c.Used() || !has(c, longest) {
		t.Errorf("a question of %d bytes is not kept", maxQuestion)
	}
	for _, size := range []int{0, -1} {
		none := NewCache(size)
		if none.Keep(longest, Allow, kept(false)); none.Used() || has(none, longest) {
			t.Errorf("a cache of %d keeps something", size)
		}
	}
}

func TestTheLeastRecentlyUsedAnswerGoesFirst(t *testing.T) {
	c := NewCache(3)
	for i := range 3 {
		c.Keep(ask("ann", 1, fmt.Sprint(i)), Allow, kept(false))
	}
	has(c, ask("ann", 1, "0")) // used
	c.Keep(ask("ann", 1, "3"), Allow, kept(false))
	for i, want := range []bool{true, false, true, true} {
		if got := has(c, ask("ann", 1, fmt.Sprint(i))); got != want {
			t.Errorf("answer %d is kept: %t, want %t", i, got, want)
		}
	}
}

func TestAnAnswerIsKeptForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(10)
		c.Keep(ask("ann", 1, "a"), Allow, kept(false))
		c.Keep(ask("ann", 1, "b"), Allow, &Answer{MaxAge: time.Minute, Expires: 50 * time.Second})
		time.Sleep(20 * time.Second)
		if _, a, ok := c.Get(ask("ann", 1, "b")); !ok || a.Expires != 30*time.Second {
			t.Errorf("after 20 of 50 seconds the connection may live for %+v, %t; want 30", a, ok)
		}
		time.Sleep(30 * time.Second)
		if has(c, ask("ann", 1, "b")) {
			t.Error("an answer outlives the time that it allows")
		}
		time.Sleep(10*time.Second - 1)
		if !has(c, ask("ann", 1, "a")) {
			t.Error("the answer is gone before its minute is over")
		}
		time.Sleep(1 * time.Nanosecond)
		if has(c, ask("ann", 1, "a")) || c.entries.Len() != 0 {
			t.Errorf("the minute is over, and %d answers are there", c.entries.Len())
		}
	})
}

func TestACacheServesManyAtOnce(t *testing.T) {
	c := NewCache(50)
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			for i := range 2000 {
				q := ask("", uint64(i%7), fmt.Sprint(i%100))
				c.Keep(q, Allow, &Answer{MaxAge: time.Minute, User: fmt.Sprint(i % 100), Public: g%2 == 0})
				if _, a, ok := c.Get(q); ok && a.User != string(q.Text) {
					t.Errorf("question %s has the answer to %s", q.Text, a.User)
					return
				}
			}
		})
	}
	running.Wait()
	if n := c.entries.Len(); n != 50 {
		t.Errorf("%d answers are kept, want the bound of 50", n)
	}
}

func TestWhatConcernsAUserIsForgotten(t *testing.T) {
	c := NewCache(10)
	c.Keep(ask("ann", 1, "a"), Deny, kept(false))
	c.Keep(ask("", 2, "connect"), Allow, &Answer{MaxAge: time.Minute, Public: true, User: "ann"})
	c.Keep(ask("bob", 3, "a"), Allow, kept(false))
	c.Keep(ask("ann", 1, "b"), Allow, kept(true))
	c.Forget("ann")
	for _, tc := range []struct {
		q    Question
		want bool
	}{
		{ask("ann", 1, "a"), false}, {ask("", 7, "connect"), false}, {ask("bob", 3, "a"), true}, {ask("", 7, "b"), true},
	} {
		if got := has(c, tc.q); got != tc.want {
			t.Errorf("user %q, %q: kept is %t, want %t", tc.q.User, tc.q.Text, got, tc.want)
		}
	}
}

// A Cache knows so many forgotten users. With one more it keeps nothing of before, so nobody comes back.
func TestForgettingHasABound(t *testing.T) {
	c := NewCache(10)
	c.Keep(ask("ann", 1, "a"), Allow, kept(false))
	c.Keep(ask("bob", 1, "a"), Allow, kept(false))
	for i := range maxForgotten {
		c.Forget(fmt.Sprint(i))
	}
	c.Forget("0") // again
	if !has(c, ask("ann", 1, "a")) {
		t.Errorf("with %d forgotten users the others are dropped", maxForgotten)
	}
	c.Forget("ann")
	for _, user := range []string{"ann", "bob"} {
		if has(c, ask(user, 1, "a")) {
			t.Errorf("with %d forgotten users the answer to %s is kept", maxForgotten+1, user)
		}
	}
}

// An answer that was given before somebody was forgotten may be late.
func TestALateAnswerIsNotKept(t *testing.T) {
	c := NewCache(10)
	q := ask("ann", 1, "a")
	q.Epoch = c.Epoch()
	c.Forget("ann")
	if c.Keep(q, Allow, kept(false)); has(c, q) {
		t.Error("an answer of before is kept")
	}
	q.Epoch = c.Epoch()
	if c.Keep(q, Allow, kept(false)); !has(c, q) {
		t.Error("an answer of after is not kept")
	}
}

// A question that has no answer costs no allocation, so that those who are asked anew pay nothing.
func TestGetAllocatesNothing(t *testing.T) {
	c := NewCache(10)
	q := ask("ann", 1, `{"command":"join","args":{"channel":"news"}}`)
	c.Keep(q, Allow, kept(false))
	other := ask("bob", 2, `{"command":"join","args":{"channel":"news"}}`)
	if n := testing.AllocsPerRun(1000, func() { c.Get(q); c.Get(other) }); n > 0 {
		t.Errorf("a look allocates %v times, want 0", n)
	}
}
