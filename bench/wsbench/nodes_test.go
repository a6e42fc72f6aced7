//go:build linux

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// figureOf returns a figure of a record, or fails the test.
func figureOf(t *testing.T, r *record, server, name string) figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.Server == server && f.Name == name {
			return f
		}
	}
	t.Fatalf("no figure %q of %q", name, server)
	return figure{}
}

func TestAnEngineThatIsMissingIsNamedAndTheOthersAreMeasured(t *testing.T) {
	b := smallBench(t)
	b.record.scenario = "nodes"
	if err := b.nodes(); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"memory, 1 node", "redis, 1 node", "redis, 2 nodes"} {
		for _, name := range []string{"CPU of the nodes, window 1", "rate, window 4", "paced: p99", "one member, paced: p50"} {
			if f := figureOf(t, b.record, server, name); len(f.Samples) != b.rounds {
				t.Errorf("%s, %s has %d samples, want one a round", server, name, len(f.Samples))
			}
		}
	}
	said := ""
	for _, n := range b.record.Notes {
		said += n.Text + "\n"
	}
	if !strings.Contains(said, "nats was not measured: there is no /nowhere/nats-server; (cd bench/engines") {
		t.Errorf("the notes do not tell how to get what is missing: %s", said)
	}
}

func TestPublicationsArriveOnceThroughAnEngine(t *testing.T) {
	b := smallBench(t, "-rounds", "1")
	b.record.scenario = "engines"
	if err := b.engines(); err != nil {
		t.Fatal(err)
	}
	if f := figureOf(t, b.record, "redis", "rate as the tool tells, own tool, 16 in flight"); f.Median != 1234.5 {
		t.Errorf("the tool's own rate is %v, want what it printed", f.Median)
	}
	for _, name := range []string{"rate, POST", "rate, WebSocket", "CPU of the nodes, POST"} {
		if f := figureOf(t, b.record, "redis", name); f.Median <= 0 {
			t.Errorf("%s is %v", name, f.Median)
		}
	}
}

func TestAnEngineLeavesNoDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b := smallBench(t)
	e, err := b.startEngine(redisKind)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(e.dir, engineConfig)); err != nil {
		t.Error(err)
	}
	e.stop()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if n := b.children.Running(); n != 0 {
		t.Errorf("%d children are still running", n)
	}
}

func TestAnEngineThatDoesNotStartIsExplained(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b := smallBench(t, "-redis-server", "/bin/false")
	if e, err := b.startEngine(redisKind); err == nil || !strings.Contains(err.Error(), "start redis") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("startEngine = %v, %v; want how it ended", e, err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func TestWhatTheToolsPrintIsRead(t *testing.T) {
	redis := "\"test\",\"rps\",\"avg_latency_ms\"\n\"PUBLISH tool xxxx\",\"888888.94\",\"0.079\"\n"
	if rate, err := redisRate(redis); err != nil || rate != 888888.94 {
		t.Errorf("redisRate = %v, %v", rate, err)
	}
	nats := "\n  [1] 1,394,225 msgs/sec ~ 170 MiB/sec\n\n NATS Core NATS publisher aggregated stats: 2,750,171 msgs/sec ~ 336 MiB/sec\n"
	if rate, err := natsRate(nats); err != nil || rate != 2750171 {
		t.Errorf("natsRate = %v, %v", rate, err)
	}
	for _, said := range []string{"", "no such command"} {
		if rate, err := redisRate(said); err == nil {
			t.Errorf("redisRate(%q) = %v, want an error", said, rate)
		}
		if rate, err := natsRate(said); err == nil {
			t.Errorf("natsRate(%q) = %v, want an error", said, rate)
		}
	}
}

func TestNumbersOfNodesAreReadOrRefused(t *testing.T) {
	if all, err := parseFanout("0, 1,16"); err != nil || len(all) != 3 || all[2] != 16 {
		t.Errorf("parseFanout = %v, %v", all, err)
	}
	for _, text := range []string{"", "one", "-1", "1,,2", "1001"} {
		if all, err := parseFanout(text); err == nil {
			t.Errorf("parseFanout(%q) = %v, want an error", text, all)
		}
	}
}

func TestTheCostOfANodeMoreIsBetweenTheFewestAndTheMost(t *testing.T) {
	fan := []*publishing{
		{name: "0", engine: costs{sched: []float64{9, 9}}},
		{name: "4", engine: costs{sched: []float64{3, 3}}},
		{name: "1", engine: costs{sched: []float64{2, 1}}},
		{name: "16", engine: costs{sched: []float64{5, 4}}},
	}
	if got := slopes(fan); len(got) != 2 || got[0] != 0.2 || got[1] != 0.2 {
		t.Errorf("slopes = %v, want 0.2 twice", got)
	}
	if got := slopes(fan[:2]); got != nil {
		t.Errorf("slopes of one number of nodes = %v", got)
	}
}

func TestAnEngineThatFailsIsAnErrorAndTheOthersFiguresAreKept(t *testing.T) {
	for _, scenario := range []string{"nodes", "subscriptions"} {
		b := smallBench(t, "-rounds", "1", "-redis-server", "/bin/false", "-run", scenario)
		err := b.runAll(t.Context(), io.Discard)
		if err == nil || !strings.Contains(err.Error(), "start redis") {
			t.Errorf("%s: %v, want it to say that redis did not start", scenario, err)
		}
		if len(b.record.Figures) == 0 || b.record.Figures[0].Server != "memory, 1 node" {
			t.Errorf("%s: the figures of one node in memory were not kept", scenario)
		}
		if len(b.record.Failures) != 1 {
			t.Errorf("%s: failures %q, want one", scenario, b.record.Failures)
		}
	}
}
