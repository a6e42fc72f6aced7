package table

import (
	"strings"
	"testing"

	"wsify/bench/internal/record"
)

func TestValuesHaveUnitsThatFit(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit string
		want string
	}{
		{0.274203, "s", "274 ms"}, {3.1e-6, "s", "3.10 us"}, {12, "s", "12.0 s"}, {79.9, "B", "79.9 B"}, {5 << 20, "B", "5 MiB"},
		{41234.4, "1/s", "41,234/s"}, {0.94, "ratio", "0.94"}, {1234567, "", "1,234,567"}, {0, "s", "0 s"}, {3, "", "3"},
	} {
		if got := Value(tc.v, tc.unit); got != tc.want {
			t.Errorf("Value(%v, %q) = %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
}

func TestATableHasVerdictsIntervalsAndFailures(t *testing.T) {
	x := float64(1 << 20)
	r := &record.Record{
		Vary: "connections",
		Figures: []record.Figure{{
			Scenario: "idle", Name: "memory", Server: "wsify", X: &x, Unit: "B", Better: record.Lower, Samples: []float64{1, 2, 3, 4, 5},
			Summary: record.Summary{N: 5, Median: 3, Low: 1, High: 5}, Goal: &record.Goal{Text: "at most 200 B"}, Verdict: record.Met,
		}},
		Notes: []record.Note{{Scenario: "idle", Text: "a note"}}, Failures: []string{"a failure"},
	}
	var b strings.Builder
	Print(&b, r, false)
	for _, want := range []string{"idle\n", "memory, connections 1048576", "3 B", "1 B to 5 B, n=5", "lower is better", "met: at most 200 B", "note: idle: a note", "failed: a failure"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("there is colour in it")
	}
	b.Reset()
	Print(&b, r, true)
	if !strings.Contains(b.String(), green+"met") {
		t.Error("a verdict has no colour")
	}
}
