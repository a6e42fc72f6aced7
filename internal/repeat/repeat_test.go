package repeat

import (
	"fmt"
	"testing"
	"time"
)

var start = time.Unix(1e9, 0)

func expect(t *testing.T, m *Memory, key string, sum uint64, after time.Duration, want Verdict, body string) {
	t.Helper()
	if v, a := m.Begin(key, sum, start.Add(after)); v != want || string(a.Body) != body {
		t.Errorf("Begin(%q, %d) after %v = %d with %q, want %d with %q", key, sum, after, v, a.Body, want, body)
	}
}

func TestARepeatedRequestIsAnsweredAsTheFirst(t *testing.T) {
	m := NewMemory()
	expect(t, m, "a", 1, 0, New, "")
	expect(t, m, "a", 1, 0, UnderWay, "")
	expect(t, m, "a", 2, 0, Another, "")
	expect(t, m, "b", 1, 0, New, "")
	m.End("a", 1, Answer{Status: 201, Body: []byte("done")}, start.Add(time.Second))
	expect(t, m, "a", 1, time.Second, Known, "done")
	expect(t, m, "a", 2, time.Second, Another, "")
	m.Forget("b")
	expect(t, m, "b", 2, time.Second, New, "")
}

// An answer is remembered for a minute from when it was given.
func TestAnAnswerIsForgottenAfterAMinute(t *testing.T) {
	m := NewMemory()
	expect(t, m, "a", 1, 0, New, "")
	m.End("a", 1, Answer{Body: []byte("done")}, start.Add(time.Second))
	expect(t, m, "a", 1, For+time.Second-1, Known, "done")
	expect(t, m, "a", 2, For+time.Second, New, "")
	m.Tidy(start.Add(2*For + time.Second))
	if keys, bytes := m.Size(); keys != 0 || bytes != 0 {
		t.Errorf("after all is forgotten: %d keys, %d bytes", keys, bytes)
	}
}

func TestTheOldestKeyGoesAtTheBounds(t *testing.T) {
	m := NewMemory()
	for i := range MaxKeys + 1 {
		expect(t, m, fmt.Sprint(i), 1, 0, New, "")
	}
	expect(t, m, "1", 1, 0, UnderWay, "")
	if keys, _ := m.Size(); keys != MaxKeys {
		t.Errorf("%d keys, want %d", keys, MaxKeys)
	}
	expect(t, m, "0", 1, 0, New, "")

	m = NewMemory()
	large := make([]byte, MaxBytes/4)
	for i := range 5 {
		key := fmt.Sprint(i)
		expect(t, m, key, 1, 0, New, "")
		m.End(key, 1, Answer{Body: large}, start)
	}
	keys, bytes := m.Size()
	if keys != 3 || bytes > MaxBytes {
		t.Errorf("%d keys with %d bytes are remembered, want 3", keys, bytes)
	}
	expect(t, m, "4", 1, 0, Known, string(large))
	expect(t, m, "1", 1, 0, New, "")
}
