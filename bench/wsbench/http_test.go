//go:build linux

package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestAnAnswerIsTheSameHoweverItIsCut(t *testing.T) {
	for _, tt := range []struct {
		text   string
		status int
		body   string
	}{
		{"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, ""},
		{"HTTP/1.1 201 Created\r\nDate: now\r\n\r\n", 201, ""},
		{"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nwait", 503, "wait"},
	} {
		for cut := range len(tt.text) {
			var a answer
			if _, whole, err := a.take([]byte(tt.text[:cut])); whole || err != nil {
				t.Fatalf("%q: whole = %v, %v", tt.text[:cut], whole, err)
			}
			status, whole, err := a.take([]byte(tt.text[cut:]))
			if status != tt.status || !whole || err != nil || string(a.body()) != tt.body {
				t.Fatalf("%q cut at %d: %d, %v, %v, body %q", tt.text, cut, status, whole, err, a.body())
			}
		}
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\nmore",
		"HTTP/1.1 201 Created\r\nContent-Length: many\r\n\r\n",
		"HTTP/1.1 created\r\n\r\n",
		"nonsense\r\n\r\n",
		strings.Repeat("x", maxAnswer+1),
	} {
		var a answer
		if _, _, err := a.take([]byte(text)); err == nil {
			t.Errorf("%.60q is taken for an answer", text)
		}
	}
}

func TestAnyStatusButCreatedFailsAnExchangeOfPosts(t *testing.T) {
	port := serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not now", http.StatusServiceUnavailable)
	}))
	b := smallBench(t)
	x, err := b.openPosts(&server{port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer x.crowd.close()
	if err := x.exchangeFor(deliveryTimeout); err == nil || !strings.Contains(err.Error(), "503: not now") {
		t.Errorf("exchangeFor = %v, want it to say 503: not now", err)
	}
}

func TestAWindowHoldsWhoWouldPassIt(t *testing.T) {
	w := &window{room: 2}
	var m [4]member
	for i := range m {
		if got, want := w.enter(&m[i]), i < 2; got != want {
			t.Errorf("enter of number %d = %v, want %v", i+1, got, want)
		}
	}
	for i, want := range []*member{&m[2], &m[3], nil} {
		if got := w.leave(); got != want {
			t.Errorf("leave number %d lets another one in than the one that has waited longest", i+1)
		}
	}
	if !w.enter(&m[0]) || w.enter(&m[1]) {
		t.Error("the room that nobody waited for is not there once")
	}
}
