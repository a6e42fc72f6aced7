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
		if got["fan-out over floor"] != absent {
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

func TestOnlyAnAuthorizerThatTakesASecondOrHangsIsJudged(t *testing.T) {
	got := verdicts(withGoals(
		one("authorizer", "wsify", "others alone: p50", "us", 50, 60, 70),
		one("authorizer", "wsify", "others alone: p99", "us", 200),
		one("authorizer", "wsify", "others beside 1000 joins that take 0s: p50", "us", 900),
		one("authorizer", "wsify", "others beside 1000 joins that take 0s: p99", "us", 9000),
		one("authorizer", "wsify", "others beside 1000 joins that take 1s: p50", "us", 75, 76, 200),
		one("authorizer", "wsify", "others beside 1000 joins that take 1s: p99", "us", 219),
		one("authorizer", "wsify", "others beside 1000 joins that hang: p50", "us", 60),
		one("authorizer", "wsify", "others beside 1000 joins that hang: p99", "us", 221)))
	for beside, want := range map[string]string{
		"1000 joins that take 0s": "", "1000 joins that take 1s": met, "1000 joins that hang": missed, // by its p99
	} {
		if verdict, ok := got[slowTitle+", "+beside]; !ok || verdict != want {
			t.Errorf("beside %s: %q, want %q", beside, verdict, want)
		}
	}
}

func TestWhatAFailureKeptFromBeingMeasuredIsSaidToHaveFailed(t *testing.T) {
	for _, c := range []struct{ failure, echo, fanout, hang string }{
		{"echo: 100 connections: reset", failed, absent, absent},
		{"fanout, server.loops 2: reset", absent, failed, absent},
		{"authorizer: beside 1000 joins that hang: reset", absent, absent, failed},
		{"stopped after 30m0s: -timeout 30m0s is over", failed, failed, failed},
	} {
		b := withGoals(one("authorizer", "wsify", "others beside 1000 joins that take 1s: p50", "us", 60))
		b.lib.kinds["goals"].Failures = []string{c.failure}
		got := verdicts(b)
		for title, want := range map[string]string{
			"JSON round trip over floor": c.echo, "fan-out over floor": c.fanout, slowTitle + ", joins that hang": c.hang,
		} {
			if got[title] != want {
				t.Errorf("%s: %s: %q, want %q", c.failure, title, got[title], want)
			}
		}
	}
}

func TestACellOfAPeerThatAFailureKeptEmptySaysSo(t *testing.T) {
	r := &record{Failures: []string{"echo: 100 connections: reset"}}
	at := slices.Index(columns, roundTrip)
	for _, c := range []struct {
		peer
		want string
	}{
		{peer{name: "nbio", measured: true}, "failed"},
		{peer{name: "floor", measured: true}, "–"},
		{peer{name: "elsewhere"}, "–"},
	} {
		c.figures = make([]*figure, len(columns))
		if got := c.cell(r, at); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := c.cell(r, slices.Index(columns, memory)); got != "–" {
			t.Errorf("%s: %q in a column that did not fail", c.name, got)
		}
	}
}

func TestARoundTripOverAFloorOfManyThreadsIsShownAndNotJudged(t *testing.T) {
	got := verdicts(withGoals(
		one("echo", "wsify", "over floor, 100 connections", "ratio", 1.4),
		one("echo", "wsify", "over floor of 2 threads, 100 connections", "ratio", 1.4),
		one("echo", "wsify", "over floor of 2 threads, 1 connection", "ratio", 1.4)))
	if got["JSON round trip over floor"] != missed {
		t.Errorf("over the floor: %q", got["JSON round trip over floor"])
	}
	if verdict, ok := got["JSON round trip over the floor of 2 threads"]; !ok || verdict != "" {
		t.Errorf("over the floor of 2 threads: %q", verdict)
	}
}

func TestADescriptorThatIsLeftIsAMissedGoal(t *testing.T) {
	for left, want := range map[float64]string{0: met, 1: missed} {
		if got := verdicts(withGoals(one("churn", "wsify", "descriptors left", "", left))); got["descriptors left after the churn"] != want {
			t.Errorf("%v left: %q, want %q", left, got["descriptors left after the churn"], want)
		}
	}
}

func TestTheAncestorIsTakenFromTheRunThatHasIt(t *testing.T) {
	others, err := readElsewhere(elsewhereJSON)
	if err != nil {
		t.Fatal(err)
	}
	figures := []figure{
		one("idle", "wsify", memory.name, "B", 150),
		one("fanout", "wsify", delivery1.name, delivery1.unit, 5),
	}
	measured := append(slices.Clone(figures), one("idle", "wsify v3", memory.name, "B", 30000))
	for _, c := range []struct {
		figures []figure
		want    []string
	}{
		{figures, []string{"257: 38.5 KB †, ours 150 B", "3.18: 15.9 CPU us per delivery †, ours 5 CPU us per delivery"}},
		{measured, []string{"200: 30 KB, ours 150 B", ""}},
	} {
		b := &builder{elsewhere: others, lib: &library{kinds: map[string]*record{"peers": {Figures: c.figures}}}}
		var got []string
		for _, row := range b.ancestorRows() {
			got = append(got, row.measured)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
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

func TestAllOfTheMemoryIsNotDrawnBesideWhatCameOnTopOfIdle(t *testing.T) {
	others, err := readElsewhere(elsewhereJSON)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{elsewhere: others}
	r := &record{Figures: []figure{one("burst", "wsify", burst.name, "MB", 2), one("idle", "wsify", memory.name, "B", 150)}}
	for _, p := range b.peers(r) {
		if drawn := p.drawn(burst) != nil; drawn != p.measured {
			t.Errorf("%s: drawn is %v, measured %v", p.name, drawn, p.measured)
		}
		if p.drawn(memory) == nil {
			t.Errorf("%s: its memory at rest is not drawn", p.name)
		}
		if p.figures[slices.Index(columns, burst)] == nil {
			t.Errorf("%s: its burst is not in the table", p.name)
		}
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
		`{{at "curve-loops" "fanout" "wsify" "CPU, window 1" 1}}`:               "5.60 CPU us per delivery",
		`{{median "million" "million" "wsify" "kernel memory per connection"}}`: "7.70 KB",
		`{{ratio "peers" "echo" "nbio" "wsify" "CPU, 100 connections"}}`:        "2.81",
		`{{ratio "curve-none" "a" "b" "c" "d"}}`:                                "(not measured yet)",
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
