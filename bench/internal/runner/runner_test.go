package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/worker"
)

// TestMain makes this test binary a worker, and a server that only listens.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		_ = worker.Serve(worker.Pipes{Reader: os.Stdin, WriteCloser: os.Stdout})
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "listen" {
		ln, err := net.Listen("tcp", os.Args[2])
		if err != nil {
			os.Exit(1)
		}
		for {
			if c, err := ln.Accept(); err == nil {
				_ = c.Close()
			}
		}
	}
	os.Exit(m.Run())
}

func contender(name string) scenario.Contender {
	return scenario.Contender{Name: name, Command: []string{os.Args[0], "listen", "{addr}"}}
}

func config(s *scenario.Scenario, names ...string) Config {
	c := Config{Scenarios: []*scenario.Scenario{s}, Rounds: 5, Local: 1, Log: io.Discard, Sizes: scenario.Sizes{Connections: 100, Duration: time.Second}}
	for _, name := range names {
		c.Contenders = append(c.Contenders, contender(name))
	}
	return c
}

func TestServersTakeTurnsAndEveryOtherRoundIsReversed(t *testing.T) {
	var order []string
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		order = append(order, e.Server.Name)
		e.Cost("CPU", "s", map[string]float64{"new": 1.2, "old": 1}[e.Server.Name])
		return nil
	}}
	cfg := config(s, "new", "old")
	cfg.Compare = true
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "new old old new new old old new new old" {
		t.Errorf("the order is %s", got)
	}
	if f := r.Find("s", "CPU", "new", nil); f == nil || f.Verdict != record.Missed || f.Goal.Of != "old" {
		t.Errorf("the new one is a fifth dearer, and its figure is %+v", f)
	}
	if f := r.Find("s", "CPU", "old", nil); f == nil || f.Goal != nil {
		t.Errorf("the old one has a goal: %+v", f)
	}
}

func TestAFailureEndsOneServersPartOnly(t *testing.T) {
	rounds := map[string]int{}
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		rounds[e.Server.Name]++
		if e.Server.Name == "bad" {
			return errors.New("broken")
		}
		e.Sample("x", "", record.Fact, 1)
		return nil
	}}
	r, err := Run(context.Background(), config(s, "good", "bad"))
	if err != nil || rounds["bad"] != 1 || rounds["good"] != 5 || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "s bad: round 1: broken") {
		t.Errorf("%v, rounds %v, failures %v", err, rounds, r.Failures)
	}
}

func TestAVoidRoundIsTriedAgain(t *testing.T) {
	calls := 0
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		if calls++; calls == 2 {
			e.Void("the queue was full")
		}
		e.Sample("x", "", record.Fact, float64(calls))
		return nil
	}}
	r, err := Run(context.Background(), config(s, "a"))
	if err != nil || calls != 6 || len(r.Figures) != 1 || slices.Contains(r.Figures[0].Samples, 2) {
		t.Errorf("%v, %d calls, %+v", err, calls, r.Figures)
	}
}

func TestARoundThatStaysVoidEndsTheServersPart(t *testing.T) {
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		e.Void("the queue was full")
		return nil
	}}
	r, err := Run(context.Background(), config(s, "a"))
	if err != nil || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "void 3 times: the queue was full") {
		t.Errorf("%v, failures %+v", err, r.Failures)
	}
}

func TestACurveHasAFigureForEachValue(t *testing.T) {
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		e.Sample("bytes", "B", record.Fact, float64(e.Content))
		return nil
	}}
	cfg := config(s, "a")
	cfg.Vary, cfg.Values = "content", []Value{{"64", 64}, {"1024", 1024}}
	r, err := Run(context.Background(), cfg)
	if err != nil || len(r.Figures) != 2 {
		t.Fatalf("%v, %+v", err, r.Figures)
	}
	for _, f := range r.Figures {
		if *f.X != f.Median {
			t.Errorf("at %v the content has %v bytes", *f.X, f.Median)
		}
	}
}

func TestTheTimeoutEndsARunWithWhatWasFound(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		e.Sample("x", "", record.Fact, 1)
		cancel(errors.New("time is up"))
		return nil
	}}
	cfg := config(s, "a")
	cfg.Scenarios = append(cfg.Scenarios, &scenario.Scenario{Name: "never", Round: func(*scenario.Env) error { return errors.New("it ran") }})
	r, err := Run(ctx, cfg)
	if err != nil || fmt.Sprint(r.Failures) != "[interrupted: time is up]" {
		t.Errorf("%v, %v", err, r.Failures)
	}
}

// listening is the address of a worker that ends with ctx.
func listening(t *testing.T, ctx context.Context) string {
	t.Helper()
	said, say := io.Pipe()
	go func() { _ = worker.Listen(ctx, "127.0.0.1:0", say) }()
	line := make([]byte, 100)
	n, err := said.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	_, addr, _ := strings.Cut(strings.TrimSpace(string(line[:n])), " on ")
	return addr
}

func TestAWorkerThatHasGoneEndsTheRunAndIsNamed(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	addr := listening(t, ctx)
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		stop()
		for {
			if _, err := e.Team.Heard("members", 0); err != nil {
				return err
			}
		}
	}}
	cfg := config(s, "a")
	cfg.Workers, cfg.Scenarios = []string{addr}, append(cfg.Scenarios, s)
	r, err := Run(t.Context(), cfg)
	if err != nil || len(r.Failures) != 1 || !strings.HasPrefix(r.Failures[0], "interrupted: worker "+addr+" has gone") {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestACurveOfConnectionsHasNoValueThatTheWorkersDoNotHold(t *testing.T) {
	s := &scenario.Scenario{Name: "s", Round: func(e *scenario.Env) error {
		e.Sample("connections", "", record.Fact, float64(e.Connections))
		return nil
	}}
	cfg := config(s, "a")
	cfg.Workers = []string{listening(t, t.Context())}
	cfg.Vary, cfg.Values = "connections", []Value{{"100", 100}, {"1000000000", 1e9}}
	r, err := Run(t.Context(), cfg)
	if err != nil || len(r.Figures) != 1 || *r.Figures[0].X != 100 || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "s a: the workers hold") {
		t.Errorf("%v, %+v", err, r)
	}
	cfg.Vary, cfg.Sizes.Connections = "", 1e9
	r, err = Run(t.Context(), cfg)
	if err != nil || len(r.Figures) != 1 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Text, "the workers hold") || len(r.Failures) > 0 {
		t.Errorf("without a curve they take what they hold: %v, %+v", err, r)
	}
}
