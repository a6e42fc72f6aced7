//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func pid() int { return os.Getpid() }

func TestSummaryOfSamples(t *testing.T) {
	for _, tt := range []struct {
		samples []float64
		want    summary
	}{
		{nil, summary{}},
		{[]float64{3}, summary{3, 3, 3}},
		{[]float64{9, 1, 4}, summary{4, 1, 9}},
		{[]float64{8, 2, 4, 6}, summary{5, 2, 8}},
	} {
		if got := summarize(tt.samples); got != tt.want {
			t.Errorf("summarize(%v) = %v, want %v", tt.samples, got, tt.want)
		}
	}
}

func TestSamplesOfAnotherRoundJoinTheirFigure(t *testing.T) {
	one, two := 1.0, 1.0
	var r record
	r.scenario, r.x = "authorizer", &one
	r.add("a", "p99", "us", "", 3)
	r.add("b", "p99", "us", "", 100)
	r.x = &two // the same value
	r.add("a", "p99", "us", "", 1, 8)
	r.scenario = "slow"
	r.add("a", "p99", "us", "", 200)
	if len(r.Figures) != 3 {
		t.Fatalf("figures %+v, want 3", r.Figures)
	}
	if f := r.Figures[0]; !slices.Equal(f.Samples, []float64{3, 1, 8}) || f.summary != (summary{3, 1, 8}) {
		t.Errorf("%+v, want the samples of both", f)
	}
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	var hundred []int64
	for i := range 100 {
		hundred = append(hundred, int64(i+1))
	}
	for _, tt := range []struct {
		sorted []int64
		p      float64
		want   int64
	}{{nil, 0.5, 0}, {[]int64{7}, 0.99, 7}, {hundred, 0.5, 50}, {hundred, 0.99, 99}, {hundred, 1, 100}, {hundred, 0, 1}} {
		if got := percentile(tt.sorted, tt.p); got != tt.want {
			t.Errorf("percentile of %d samples at %v = %d, want %d", len(tt.sorted), tt.p, got, tt.want)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	got := ratios([]float64{4, 9, 1}, []float64{2, 3, 0})
	if want := []float64{2, 3}; !slices.Equal(got, want) {
		t.Errorf("ratios = %v, want %v", got, want)
	}
}

func TestStatIsReadBehindANameWithBracketsAndBlanks(t *testing.T) {
	user, all, err := parseStat("42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0")
	if err != nil || user != 1500*time.Millisecond || all != 1750*time.Millisecond {
		t.Errorf("got %v, %v, %v, want 1.5s, 1.75s", user, all, err)
	}
	if _, _, err := parseStat("42 (short) S 1"); err == nil {
		t.Error("a line that is cut short is accepted")
	}
}

func TestClocksOfAProcessAgree(t *testing.T) {
	for spin := time.Now(); time.Since(spin) < 100*time.Millisecond; {
	}
	got, err := readCPU(pid())
	if err != nil {
		t.Fatal(err)
	}
	if got.Stat <= 0 || got.Sched <= 0 || got.Clock <= 0 {
		t.Errorf("readCPU of this process = %+v, want all above zero", got)
	}
	if _, err := readCPU(1 << 30); err == nil {
		t.Error("readCPU of no process gives no error")
	}
}

func TestMemoryOfThisProcessIsRead(t *testing.T) {
	m, err := readMemory(pid())
	if err != nil {
		t.Fatal(err)
	}
	if m.RSS <= 0 || m.Anon <= 0 || m.Pss <= 0 || m.Peak < m.Anon {
		t.Errorf("readMemory of this process = %+v", m)
	}
}

func TestSettlingIsBounded(t *testing.T) {
	never := settler{stable: time.Hour, max: time.Millisecond}
	if _, rested, err := never.wait(pid()); rested || err != nil {
		t.Errorf("wait = %v, %v, want not at rest and no error", rested, err)
	}
}

func TestQuickReplacesOnlyWhatWasNotGiven(t *testing.T) {
	o, err := parseOptions([]string{"-quick", "-rounds", "7"}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	if o.connections != 2000 || o.rounds != 7 {
		t.Errorf("connections %d, rounds %d, want 2000 and 7", o.connections, o.rounds)
	}
}

func TestEveryWrongValueIsNamed(t *testing.T) {
	_, err := parseOptions([]string{"-rounds", "0", "-publications", "3", "-run", "idle,nap", "-burst-publications", "5000"}, os.Stderr)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"-rounds is 0", "-publications is 3", "-run nap", "-burst-publications is 5000"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestARecordIsAddedAndNeverOverwritten(t *testing.T) {
	r := &record{scenario: "idle"}
	r.add("wsify", "size", "B", "<= 200", 3, 1, 2)
	path := filepath.Join(t.TempDir(), "deeper", "record.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	if err := r.write(path); err == nil {
		t.Error("the second record replaced the first")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Figures []map[string]any }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if f := got.Figures[0]; f["median"] != 2.0 || f["min"] != 1.0 || f["max"] != 3.0 || f["goal"] != "<= 200" {
		t.Errorf("the figure in the record is %v", f)
	}
}

func TestABareNameIsARecordAmongTheResults(t *testing.T) {
	for name, want := range map[string]string{"a.json": "bench/results/a.json", "./a.json": "./a.json", "/else/where.json": "/else/where.json"} {
		if got := resultsFile(name); got != want {
			t.Errorf("resultsFile(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestTheTableShowsTheGoalAndLeavesDetailsOut(t *testing.T) {
	r := &record{scenario: "echo"}
	r.add("wsify", "CPU", "us", "<= 1.3", 1.25)
	r.detail("wsify", "clock", "us", 1.26)
	r.remark("loaded")
	r.remark("loaded")
	var out strings.Builder
	r.print(&out, mark{})
	if got := out.String(); !strings.Contains(got, "<= 1.3") || strings.Contains(got, "clock") || strings.Count(got, "note: loaded") != 1 {
		t.Errorf("printed:\n%s", got)
	}
}

func TestSourcesStayOnTheLoopbackAndMoveOnInTime(t *testing.T) {
	s := newSources()
	used := make(map[[4]byte]int)
	for range 5 * connectionsPerSource {
		used[s.next()]++
	}
	for address, n := range used {
		if address[0] != 127 || n > connectionsPerSource {
			t.Errorf("%v was given %d times", address, n)
		}
	}
}
