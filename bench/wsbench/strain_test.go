//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTimeOfAllCoresIsReadWithoutItsGuests(t *testing.T) {
	got, err := parseMachineTime("cpu  10 1 20 300 40 2 3 4 9 9\ncpu0 1 1 1 1\n")
	if want := (machineTime{busy: 40, all: 380}); err != nil || got != want {
		t.Errorf("parseMachineTime = %+v, %v, want %+v", got, err, want)
	}
	if share := (machineTime{90, 480}).shareSince(got); share != 0.5 {
		t.Errorf("50 of 100 ticks are a share of %v", share)
	}
	if share := got.shareSince(got); share != 0 {
		t.Errorf("the share of no time is %v, want 0", share)
	}
	for _, text := range []string{"", "intr 1 2 3 4 5 6", "cpu 1 2 3 4 many"} {
		if _, err := parseMachineTime(text); err == nil {
			t.Errorf("%q is taken for the time of all cores", text)
		}
	}
}

func TestThePacingThreadIsInTheAccount(t *testing.T) {
	took, err := strained(func() (*latencies, error) {
		return newLatencies(), pace(time.Millisecond, 20*time.Millisecond, func(int, int64) error {
			for start := time.Now(); time.Since(start) < 500*time.Microsecond; {
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := took.strain; s == nil || s.pacer <= 0 || s.receiver != 0 {
		t.Errorf("strain = %+v, want a pacing thread at work and no receiver", s)
	}
}

func TestABusyGeneratorIsToldOnceForAllRounds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rounds []strain
		want   []string
	}{
		{"nobody", []strain{{0.3, 0.2, 0.5}, {0.4, 0.1, 0.6}}, nil},
		{"a receiver", []strain{{0.95, 0.2, 0.5}, {0.97, 0.1, 0.6}, {0.1, 0.1, 0.1}}, []string{"the client was the bottleneck, its busiest thread used 95 %"}},
		{"the pacing thread", []strain{{0.2, 0.99, 0.5}, {0.2, 0.99, 0.6}}, []string{"the client was the bottleneck, its busiest thread used 99 %"}},
		{"the machine", []strain{{0.2, 0.2, 0.95}, {0.2, 0.2, 0.96}}, []string{"the machine was full"}},
	} {
		r := new(record)
		r.addStrain("a", "paced", tt.rounds)
		if len(r.Notes) != len(tt.want) {
			t.Errorf("%s is busy: notes %v, want %d", tt.name, r.Notes, len(tt.want))
			continue
		}
		for i, n := range r.Notes {
			if !strings.Contains(n.Text, tt.want[i]) {
				t.Errorf("%s is busy: note %q, want it to say %q", tt.name, n.Text, tt.want[i])
			}
		}
	}
}

func TestEveryPhaseTellsHowBusyItsGeneratorWas(t *testing.T) {
	if testing.Short() {
		t.Skip("the scenarios run in another test, too")
	}
	for scenario, phases := range map[string][]string{
		"fanout": {"paced", "window 1"}, "mesh": {"paced", "all channels"}, "echo": {"paced", "5 connections"},
		"http": {"paced", "to one member"}, "connect": {"connect and upgrade"}, "slow": {"others alone", "others beside a stuck reader"},
		"slowloris": {"others alone", "others beside 20 half frames"},
		"talkers":   {"others alone", "others beside 20 talkers"},
	} {
		t.Run(scenario, func(t *testing.T) {
			b := smallBench(t, "-run", scenario)
			if err := b.runAll(t.Context(), new(strings.Builder)); err != nil {
				t.Fatal(err)
			}
			for _, phase := range phases {
				name := "generator's busiest thread: " + treeName + ", " + phase
				if !slices.ContainsFunc(b.record.Figures, func(f figure) bool { return f.Name == name && f.Detail }) {
					t.Errorf("the record lacks %q", name)
				}
			}
		})
	}
}

func TestNoMorePublicationsFlyThanCanBeToldApart(t *testing.T) {
	l := &load{crowd: &crowd{failed: make(chan error, 1)}, tally: newTally(1, 0), atMost: 3}
	sent := flight{load: l}
	for range 3 {
		if err := sent.add(); err != nil {
			t.Fatal(err)
		}
	}
	l.tally.done <- struct{}{} // one arrives: there is room for another
	if err := sent.add(); err != nil || len(l.tally.done) != 0 || sent.onWay != 3 {
		t.Errorf("add = %v with %d on their way, want 3 and to have waited for one", err, sent.onWay)
	}
}
