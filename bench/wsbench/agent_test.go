//go:build linux

package main

import (
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"wsify/bench/internal/process"
)

func TestConnectionsBeyondOneProcessAreHeldByAgents(t *testing.T) {
	for _, name := range []string{"fanout", "idle", "burst"} {
		t.Run(name, func(t *testing.T) {
			b := smallBench(t, "-run", name, "-per-process", "15") // of 40
			if err := b.runAll(t.Context(), io.Discard); err != nil {
				t.Fatal(err)
			}
			if n := b.children.Running(); n != 0 {
				t.Errorf("%d children are still running", n)
			}
		})
	}
}

func TestAgentsReportLatenciesAndThreads(t *testing.T) {
	b := smallBench(t, "-per-process", "15")
	s, err := b.start(b.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	l, p, err := b.openAudience(s, channels{Shared: true}, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer l.crowd.close()
	defer p.close()
	if n := len(l.crowd.agents); n != 2 {
		t.Fatalf("%d agents, want 2", n)
	}
	l.tally.timed.Store(true)
	for range 3 {
		if err := p.publishAt(0, now()); err != nil {
			t.Fatal(err)
		}
		if err := l.arrive(1); err != nil {
			t.Fatal(err)
		}
	}
	took := l.crowd.takeLatencies()
	if want := int64(3 * b.connections); took.count() != want {
		t.Errorf("%d latencies, want %d", took.count(), want)
	}
	if took.max() > longest.Seconds()*1e6/2 {
		t.Errorf("the longest took %v us: the clocks of the processes differ", took.max())
	}
	if n := len(l.crowd.threadTimes()); n != 3 {
		t.Errorf("%d threads receive, want one in each process", n)
	}
}

func TestAnAgentThatDiesFailsItsCrowd(t *testing.T) {
	b := smallBench(t, "-per-process", "15")
	s, err := b.start(b.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	c, err := b.openIdle(s, channels{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.whole(); err != nil {
		t.Fatalf("whole = %v while everybody lives", err)
	}
	dead := c.agents[1]
	if err := dead.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	dead.work.Wait() // it is heard no more
	if err := c.whole(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("whole = %v, want it to say how the agent ended", err)
	}
}

func TestADismissedAgentIsNoFailure(t *testing.T) {
	b := smallBench(t, "-per-process", "15")
	s, err := b.start(b.tree())
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	c, err := b.openIdle(s, channels{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	c.close()
	if err := c.whole(); err != nil {
		t.Errorf("whole = %v after close", err)
	}
}

func TestAnAgentThatCannotOpenSaysWhy(t *testing.T) {
	b := smallBench(t, "-per-process", "15")
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.startAgent(agentOrder{Size: 2, Threads: 1, Port: port})
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("startAgent = %v, want it to say why", err)
	}
}

func TestChannelsOfAMember(t *testing.T) {
	for _, tt := range []struct {
		channels
		want []string
	}{
		{channels{}, nil},
		{channels{Shared: true}, []string{"bench"}},
		{channels{Own: 2}, []string{"c00000014", "c00000015"}},
		{channels{Among: 5}, []string{"c00000002"}},
	} {
		if got := tt.of(7); !slices.Equal(got, tt.want) {
			t.Errorf("%+v of member 7 = %q, want %q", tt.channels, got, tt.want)
		}
	}
}
