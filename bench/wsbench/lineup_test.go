//go:build linux

package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestAPeerThatFailsIsLeftOutAndEverybodyElseIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("the scenarios run in another test, too")
	}
	for scenario, failing := range map[string]string{
		"fanout": "publish", "mesh": "publish", "http": "publish", "burst": "publish", "slow": "publish", "churn": "publish",
		"idle": "upgrade", "connect": "upgrade", "storm": "upgrade", "echo": "upgrade", "drain": "start", "slowloris": "start",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel() // most of it waits
			b := smallBench(t, "-against", "bad="+executable(t)+" -failing "+failing, "-against", "good="+executable(t), "-run", scenario)
			if err := b.runAll(t.Context(), io.Discard); err != nil {
				t.Fatal(err)
			}
			measured := make(map[string]int)
			for _, f := range b.record.Figures {
				measured[f.Server]++
			}
			if measured[treeName] == 0 || measured["good"] == 0 || measured["bad"] != 0 {
				t.Errorf("figures of the servers: %v, want some of all but the one that fails", measured)
			}
			if !slices.ContainsFunc(b.record.Notes, func(n note) bool { return strings.HasPrefix(n.Text, "bad: left out of the rest") }) {
				t.Errorf("the notes do not say who was left out: %v", b.record.Notes)
			}
			if n := b.children.Running(); n != 0 {
				t.Errorf("%d children are still running", n)
			}
		})
	}
}

func TestOnlyTheTreesFailureIsTheScenarios(t *testing.T) {
	b := &bench{contenders: []contender{{name: "a"}, {name: "b"}, {name: "c"}}, record: new(record)}
	in := b.lineUp()
	broken := errors.New("broken")
	if err := in.judge("b", broken); err != nil {
		t.Errorf("judge of a peer = %v, want it to be a remark", err)
	}
	if err := in.judge("a", broken); !errors.Is(err, broken) {
		t.Errorf("judge of the tree = %v, want its failure", err)
	}
	for round, want := range []string{"ac", "ca"} {
		var got string
		for _, c := range in.turns(round) {
			got += c.name
		}
		if got != want {
			t.Errorf("round %d: %s take turns, want %s", round, got, want)
		}
	}
}

func TestSamplesOfAPeerThatFailedStayWithTheirRounds(t *testing.T) {
	b := &bench{contenders: []contender{{name: "a"}, {name: "b"}}, record: new(record)}
	in, measured, floor := b.lineUp(), make(table), []float64{1, 10, 100}
	for round := range floor {
		for _, c := range in.turns(round) {
			if c.name == "b" && round == 1 {
				if err := in.judge(c.name, errors.New("once")); err != nil {
					t.Fatal(err)
				}
				continue
			}
			measured.of(c.name).sched = append(measured.of(c.name).sched, 2*floor[round])
		}
	}
	for name, want := range map[string][]float64{"a": {2, 2, 2}, "b": {2}} {
		if got := ratios(measured.of(name).sched, floor); !slices.Equal(got, want) {
			t.Errorf("%s over the floor: %v, want %v", name, got, want)
		}
	}
}

func TestAScenarioSaysWhatItCannotDo(t *testing.T) {
	for _, tt := range []struct {
		scenario, want string
		args           []string
	}{
		{"drain", "15 connections, not 40: one process makes them", []string{"-per-process", "15"}},
		{"storm", "15 connections, not 40: one process makes them", []string{"-per-process", "15"}},
		{"burst", "307200 bytes are published at once: wsify answers 503 beyond 262144", []string{"-burst-publications", "300"}},
	} {
		b := smallBench(t, append(tt.args, "-server-args", "-failing start", "-run", tt.scenario)...)
		if err := b.runAll(t.Context(), io.Discard); err == nil {
			t.Errorf("%s: a server that does not start was measured", tt.scenario)
		}
		if !slices.ContainsFunc(b.record.Notes, func(n note) bool { return strings.HasPrefix(n.Text, tt.want) }) {
			t.Errorf("%s: notes %v, want %q", tt.scenario, b.record.Notes, tt.want)
		}
	}
}
