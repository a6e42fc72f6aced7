package main

import (
	"slices"
	"strings"
	"testing"
)

// one is a figure with the given samples.
func one(scenario, server, name, unit string, samples ...float64) figure {
	sorted := slices.Sorted(slices.Values(samples))
	return figure{
		Scenario: scenario, Server: server, Name: name, Unit: unit, Samples: samples,
		Median: sorted[len(sorted)/2], Min: sorted[0], Max: sorted[len(sorted)-1],
	}
}

func withGoals(figures ...figure) *builder {
	r := &record{file: "f.json", Figures: figures}
	return &builder{lib: &library{kinds: map[string]*record{"goals": r}}, prose: prose{testTexts()}}
}

func verdicts(b *builder) map[string]string {
	all := make(map[string]string)
	for _, r := range b.goalRows() {
		all[r.title+r.variant] = r.verdict
	}
	return all
}

func TestAGoalIsMetUpToItsLimit(t *testing.T) {
	for _, c := range []struct {
		median float64
		want   string
	}{{1.3, met}, {1.3001, missed}, {0, met}} {
		got := verdicts(withGoals(one("echo", "wsify", "over floor, 100 connections", "ratio", c.median)))
		if got["JSON round trip over floor"] != c.want {
			t.Errorf("%v: %q, want %q", c.median, got["JSON round trip over floor"], c.want)
		}
		if got["fan-out over floor"] != "not in the record" {
			t.Errorf("a goal without a figure: %q", got["fan-out over floor"])
		}
	}
}

func TestEachSettingOfWsifyIsJudged(t *testing.T) {
	got := verdicts(withGoals(
		one("echo", "wsify, one loop", "over floor, 100 connections", "ratio", 1.2),
		one("echo", "wsify, two loops", "over floor, 100 connections", "ratio", 1.6),
		one("echo", "nbio", "over floor, 100 connections", "ratio", 9)))
	if got["JSON round trip over floorwsify, one loop"] != met || got["JSON round trip over floorwsify, two loops"] != missed {
		t.Errorf("got %v", got)
	}
}

func TestLatencyBesideASlowAuthorizerIsComparedWithThatAlone(t *testing.T) {
	got := verdicts(withGoals(
		one("authorizer", "wsify", "others alone: p50", "us", 50, 60, 70),
		one("authorizer", "wsify", "others beside A: p50", "us", 75, 76, 200),
		one("authorizer", "wsify", "others beside B: p50", "us", 78),
		one("authorizer", "wsify", "others beside B: p99", "us", 1)))
	if got[slowTitle+", A"] != met || got[slowTitle+", B"] != missed {
		t.Errorf("got %v", got)
	}
}

func TestAMissedGoalHasItsExplanationOrAWordThatThereIsNone(t *testing.T) {
	write := func(b *builder) string {
		p := new(page)
		if err := b.writeGoals(p); err != nil {
			t.Fatal(err)
		}
		return p.String()
	}
	explained := write(withGoals(one("echo", "wsify", "over floor, 100 connections", "ratio", 2)))
	if !strings.Contains(explained, "### Missed: JSON round trip over floor\n\nThe profile says why.") {
		t.Errorf("no explanation in\n%s", explained)
	}
	unexplained := write(withGoals(one("fanout", "wsify", "over floor, window 1", "ratio", 2)))
	if !strings.Contains(unexplained, "### Missed: fan-out over floor\n\n**Not explained yet.**") {
		t.Errorf("no word about it in\n%s", unexplained)
	}
	if strings.Contains(unexplained, "The profile says why.") {
		t.Error("a goal that was not missed is explained")
	}
}

func TestAnExplanationOfNoGoalIsRefused(t *testing.T) {
	texts := testTexts()
	texts["goals-missed.md"].Data = []byte("### JSON round trips\n\nWhy.\n")
	if _, err := tryBuild(records, texts); err == nil || !strings.Contains(err.Error(), `"JSON round trips" is no goal`) {
		t.Errorf("got %v", err)
	}
}

func TestTheFreeBenchmarksMayNotAllocate(t *testing.T) {
	var text strings.Builder
	for _, name := range free {
		i := strings.LastIndexByte(name, '.')
		text.WriteString("pkg: wsify/" + name[:i] + "\nBenchmark" + name[i+1:] + "/a.b-2 1 1 ns/op 0 B/op 0 allocs/op\n")
	}
	for name, c := range map[string]struct{ text, verdict, measured string }{
		"none allocates":   {text.String(), met, "0 at most"},
		"another does":     {text.String() + "BenchmarkOther-2 1 1 ns/op 9 B/op 3 allocs/op\n", met, "0 at most"},
		"one does":         {text.String() + "BenchmarkSendShared-2 1 1 ns/op 9 B/op 3 allocs/op\n", missed, "3 at most, in netpoll.SendShared"},
		"one is not there": {strings.Replace(text.String(), "BenchmarkParse", "BenchmarkGone", 1), "not measured: internal/command.Parse", "0 at most"},
	} {
		a, err := parseAllocations("go.txt", c.text)
		if err != nil {
			t.Fatal(err)
		}
		if row := a.row(); row.verdict != c.verdict || row.measured != c.measured {
			t.Errorf("%s: %q, %q; want %q, %q", name, row.verdict, row.measured, c.verdict, c.measured)
		}
	}
}

func TestAServerThatWasMeasuredIsNotTakenFromElsewhere(t *testing.T) {
	others, err := readElsewhere(elsewhereJSON)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{elsewhere: others}
	r := &record{Servers: []server{{Name: "floor"}, {Name: "centrifugo"}, {Name: "wsify"}}, Figures: []figure{
		one("fanout", "floor", "CPU, window 1", "CPU us per delivery", 5),
		one("fanout", "centrifugo", "CPU, window 1", "CPU us per delivery", 15),
		one("fanout", "wsify", "CPU, window 1", "CPU us per delivery", 6),
	}}
	var names []string
	for _, p := range b.peers(r) {
		names = append(names, p.name)
	}
	want := []string{"wsify", "centrifugo", "floor", "uWebSockets", "wsify v3"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestFloorsComeAfterAllPeersAndAreComparedWithNothing(t *testing.T) {
	b := &builder{elsewhere: new(elsewhere)}
	r := &record{Servers: []server{{Name: "wsify"}, {Name: "nbio"}}, Figures: []figure{
		one("echo", "floor of 2 threads", "CPU, 100 connections", "CPU us per round trip", 7),
		one("echo", "floor", "CPU, 100 connections", "CPU us per round trip", 5),
		one("echo", "nbio", "CPU, 100 connections", "CPU us per round trip", 15),
		one("echo", "wsify", "CPU, 100 connections", "CPU us per round trip", 6),
	}}
	var names, cells []string
	for _, p := range b.peers(r) {
		names = append(names, p.name)
		cells = append(cells, p.cell(r, slices.Index(columns, roundTrip)))
	}
	if want := []string{"wsify", "nbio", "floor", "floor of 2 threads"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if want := []string{"6 (1.20×)", "15 (3×)", "5", "7"}; !slices.Equal(cells, want) {
		t.Errorf("got %v, want %v", cells, want)
	}
	if rank("floor of 2 threads") <= rank("nbio") || rank("floorboard") != rank("nbio") {
		t.Error("a curve of a floor has its place among the peers, or a peer's with the floors")
	}
}

func TestATextMayQuoteOnlyFiguresThatThereAre(t *testing.T) {
	for text, want := range map[string]string{
		`{{at "curve-loops" "fanout" "wsify" "CPU, window 1" 1}}`:          "5.60 CPU us per delivery",
		`{{median "million" "million" "" "kernel memory per connection"}}`: "7.70 KB",
		`{{ratio "peers" "echo" "nbio" "wsify" "CPU, 100 connections"}}`:   "2.81",
		`{{ratio "curve-none" "a" "b" "c" "d"}}`:                           "(not measured yet)",
	} {
		lib, err := readLibrary(records)
		if err != nil {
			t.Fatal(err)
		}
		texts := testTexts()
		texts["intro.md"].Data = []byte(text)
		if got, err := (prose{texts}).text("intro", lib); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	texts := testTexts()
	texts["intro.md"].Data = []byte(`{{median "goals" "idle" "wsify" "no such figure"}}`)
	if _, err := tryBuild(records, texts); err == nil || !strings.Contains(err.Error(), "intro.md") || !strings.Contains(err.Error(), "no such figure") {
		t.Errorf("got %v", err)
	}
}
