package worker

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wsify/bench/internal/swarm"
)

const patience = 30 * time.Second

// listening runs a worker until stop is called. ended is closed when Listen has returned.
func listening(t *testing.T) (addr string, stop func(), ended chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	said, say := io.Pipe()
	ended = make(chan struct{})
	go func() {
		defer close(ended)
		if err := Listen(ctx, "127.0.0.1:0", say); err != nil {
			t.Error(err)
		}
	}()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	_, addr, _ = strings.Cut(strings.TrimSpace(string(line[:n])), " on ")
	t.Cleanup(func() { cancel(); <-ended; _ = say.Close() })
	return addr, cancel, ended
}

// silent is the address of a port that accepts and never answers. met gets a value for each connection.
func silent(t *testing.T) (addr string, met chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	met = make(chan struct{}, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			met <- struct{}{}
		}
	}()
	return ln.Addr().String(), met
}

func ignore(error) {}

// open has a worker begin to connect to a target that does not answer, and returns once it has.
func open(t *testing.T, w *Worker) (failed chan error) {
	t.Helper()
	addr, met := silent(t)
	failed = make(chan error, 1)
	go func() {
		_, err := Team{w}.Open(swarm.Plan{Group: "g", N: 1, Target: swarm.Target{Addr: addr, Host: addr}})
		failed <- err
	}()
	<-met
	return failed
}

func TestAPortThatIsNoWorkerIsTold(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	quiet, _ := silent(t)
	for _, addr := range []string{strings.TrimPrefix(web.URL, "http://"), quiet} {
		_, err := Dial(t.Context(), addr, ignore)
		if err == nil || !strings.Contains(err.Error(), addr+" is no wsbench worker") {
			t.Errorf("%v", err)
		}
	}
}

func TestABusyWorkerSaysSoAndIsFreeWhenItsRunEnds(t *testing.T) {
	t.Parallel()
	addr, _, _ := listening(t)
	first, err := Dial(t.Context(), addr, ignore)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), addr, ignore); err == nil || !strings.Contains(err.Error(), "worker "+addr+": it is busy") {
		t.Errorf("the second coordinator was told %v", err)
	}
	open(t, first) // what the worker waits for ends with its coordinator
	first.Close()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		w, err := Dial(t.Context(), addr, ignore)
		if err == nil {
			w.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("its run has ended, and the worker says %v", err)
		}
	}
}

func TestAPortScannerKeepsNobodyAway(t *testing.T) {
	t.Parallel()
	addr, _, _ := listening(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w, err := Dial(t.Context(), addr, ignore)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
}

func TestAWorkerThatIsStoppedEndsAtOnceAndIsNamed(t *testing.T) {
	t.Parallel()
	addr, stop, ended := listening(t)
	lost := make(chan error, 10)
	w, err := Dial(t.Context(), addr, func(because error) { lost <- because })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	failed := open(t, w)
	stop()
	for name, got := range map[string]chan error{"the call": failed, "lost": lost} {
		select {
		case err := <-got:
			if err == nil || !strings.Contains(err.Error(), "worker "+addr+" has gone") {
				t.Errorf("%s says %v", name, err)
			}
		case <-time.After(patience):
			t.Errorf("%s says nothing", name)
		}
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the worker goes on")
	}
}

func TestMeetingAWorkerEndsWithTheRun(t *testing.T) {
	t.Parallel()
	addr, met := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := Dial(ctx, addr, ignore)
		failed <- err
	}()
	<-met
	cancel()
	if err := <-failed; err == nil || strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
