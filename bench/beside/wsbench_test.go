//go:build linux

package main

import (
	"io"
	"math"
	"testing"

	"wsify/bench/internal/process"
)

// TestWSBenchHasWhatTheTableTakesFromIt runs the real one: its names are its own to change.
func TestWSBenchHasWhatTheTableTakesFromIt(t *testing.T) {
	needServer(t)
	for _, name := range []string{"tcpkali", "k6"} {
		o, err := parseOptions([]string{"-server", wsify, "-connections", "30", "-wsbench-args", "-rounds 1 -idle-rounds 1 " +
			"-settle 100ms -settle-min 0 -settle-max 300ms -echo-time 50ms -handshakes 50 -publications 8 -paced-time 100ms", name}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{options: o, children: new(process.Children), scratch: t.TempDir(), stdout: io.Discard, stderr: io.Discard}
		t.Cleanup(b.children.KillAll)
		r, err := b.runWSBench(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range toolOf(name).rows(b.connections) {
			if len(row.ours) > 0 && math.IsNaN(r.median(row.ours)) {
				t.Errorf("beside %s: %s, %s: wsbench has none of %q", name, row.script, row.label, row.ours)
			}
		}
	}
}

func TestOnlyLikeStandsBesideLike(t *testing.T) {
	r := new(record)
	for i, f := range []origin{
		{"echo", "rate, 100 connections", "round trips/s"},
		{"echo", "CPU, 100 connections", "CPU us per round trip"},
		{"echo", "rate, 500 connections", "round trips/s"},
		{"echo", "CPU, 500 connections", "CPU us per round trip"},
		{"echo", "rate, 1 connection", "round trips/s"},
		{"echo", "CPU, 1 connection", "CPU us per round trip"},
		{"idle", "RSS per connection, one channel for all", "B"}, // over a server that had some before
		{"idle", "RSS per connection, one channel for all, over a fresh server", "B"},
	} {
		r.Figures = append(r.Figures, recorded{Scenario: f.scenario, Name: f.name, Unit: f.unit, Median: float64(i)})
	}
	for connections, want := range map[int][3]float64{100: {0, 1, 7}, 500: {2, 3, 7}, 1: {4, 5, 7}} {
		got := make(map[string]float64)
		for _, row := range (&tcpkali{}).rows(connections) {
			got[row.script+", "+row.label] = r.median(row.ours)
		}
		for i, label := range []string{"echo, round trips", "echo, server CPU per round trip", "idle, RSS per connection, over a fresh server"} {
			if v, ok := got[label]; !ok || v != want[i] {
				t.Errorf("%d connections: %s: figure %g, want figure %g", connections, label, v, want[i])
			}
		}
	}
}
