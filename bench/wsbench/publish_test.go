//go:build linux

package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

func TestADoorTakesMoreAnswersThanAnybodyCollects(t *testing.T) {
	var asked atomic.Int64
	port := serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusCreated)
	}))
	p, err := openPoster(port, sharedChannel, text(32))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	const n = 5 * tallySize // more than answers and sockets hold
	for range n / 16 {
		if err := p.publish(0, 16); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.collect(); err != nil || asked.Load() != n {
		t.Errorf("collect = %v after %d of %d publications", err, asked.Load(), n)
	}
}

func TestADoorKeepsTheFirstRefusal(t *testing.T) {
	var asked atomic.Int64
	port := serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 2 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	p, err := openPoster(port, sharedChannel, text(32))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if err := p.publish(0, 4); err != nil {
		t.Fatal(err)
	}
	if err := p.collect(); err == nil || !strings.Contains(err.Error(), "503 Service Unavailable: not now") {
		t.Errorf("collect = %v, want it to say 503: not now", err)
	}
}
