//go:build linux

package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAVerdictNeedsARatioAndRoundsThatAgree(t *testing.T) {
	for _, tt := range []struct {
		name   string
		ratios []float64
		want   string
	}{
		{"equal", []float64{1, 1.01, 0.99, 1, 1}, ""},
		{"a tenth worse in all rounds", []float64{1.1, 1.12, 1.09, 1.1, 1.11}, "worse"},
		{"a tenth better in all rounds", []float64{0.9, 0.88, 0.91, 0.9, 0.89}, "better"},
		{"worse by median, rounds disagree", []float64{1.2, 1.06, 1.3, 0.7, 0.9}, ""},
		{"worse by less than equal servers differ", []float64{1.04, 1.03, 1.04, 1.04, 1.04}, ""},
		{"few rounds, just above", []float64{1.08, 1.09}, ""},
		{"few rounds, far above", []float64{1.2, 1.3}, "worse"},
		{"no rounds", nil, ""},
	} {
		if got := (pair{ratios: tt.ratios}).verdict(); got != tt.want {
			t.Errorf("%s: verdict = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func comparedRecord(tree, base []float64) *record {
	r := &record{scenario: "echo", Servers: []entrant{{Name: treeName}, {Name: "base"}}}
	r.add(treeName, "CPU", "CPU us per round trip", "", tree...)
	r.add("base", "CPU", "CPU us per round trip", "", base...)
	r.add(treeName, "rate", "round trips/s", "", 1) // moves with the machine: judges nothing
	r.add("base", "rate", "round trips/s", "", 100)
	return r
}

func TestAComparisonSaysWhatGotWorse(t *testing.T) {
	var out strings.Builder
	err := comparedRecord([]float64{12, 13, 12, 12}, []float64{10, 10, 10, 10}).compare(&out, "base")
	if !errors.Is(err, errWorse) || !strings.Contains(out.String(), "1 of 1 figures got worse") {
		t.Errorf("compare = %v, printed:\n%s", err, out.String())
	}
	if err := comparedRecord([]float64{10, 10}, []float64{10, 10}).compare(io.Discard, "base"); err != nil {
		t.Errorf("compare of equal servers = %v", err)
	}
	short := comparedRecord([]float64{10, 10}, []float64{10})
	short.leftOut = []string{"base"}
	if err := short.compare(io.Discard, "base"); err == nil || errors.Is(err, errWorse) {
		t.Errorf("compare with a base that failed = %v, want an error of its own", err)
	}
	if err := (&record{Servers: []entrant{{Name: treeName}}}).compare(io.Discard, "base"); err == nil || errors.Is(err, errWorse) {
		t.Errorf("compare of nothing = %v, want an error of its own", err)
	}
}

func TestTheCommandComparesAndAnswersByExitCode(t *testing.T) {
	self := executable(t)
	args := []string{"-server", self, "-run", "connect", "-rounds", "1", "-handshakes", "20", "-compare"}
	if code := run(args, io.Discard, io.Discard); code != 2 {
		t.Errorf("run without something to compare with = %d, want 2", code)
	}
	var out strings.Builder
	code := run(append(args, "-against", "base="+self), &out, io.Discard)
	if code != 0 && code != 3 {
		t.Errorf("run = %d, want a verdict", code)
	}
	if !strings.Contains(out.String(), "wsify over base, round by round") {
		t.Errorf("printed:\n%s", out.String())
	}
}
