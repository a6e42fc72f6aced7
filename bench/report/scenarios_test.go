package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// scenesOf writes the section of the scenarios from these figures.
func scenesOf(t *testing.T, failures []string, figures ...figure) string {
	t.Helper()
	b := withGoals(figures...)
	b.files = make(map[string][]byte)
	b.lib.kinds["goals"].Failures = failures
	p := new(page)
	if err := b.writeScenes(p); err != nil {
		t.Fatal(err)
	}
	return p.String()
}

// section is what stands under a heading.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, heading+"\n")
	if !ok {
		t.Fatalf("no %q in\n%s", heading, text)
	}
	before, _, _ := strings.Cut(rest, "\n#")
	return before
}

func TestPercentilesAreOneRow(t *testing.T) {
	text := section(t, scenesOf(t, nil,
		one("storm", "wsify", "storm, with authorizer: rate", "joined/s", 5000),
		one("storm", "wsify", "storm, with authorizer: p50", "us", 1.4e6, 1.5e6, 1.6e6),
		one("storm", "wsify", "storm, with authorizer: p99", "us", 2.9e6),
		one("storm", "wsify", "storm, with authorizer: max", "us", 3e6),
		one("storm", "wsify", "storm, with authorizer: tries", "tries per connection", 1)), "### storm")
	for _, want := range []string{
		"| figure | median or p50 | p99 | p99.9 | max | n |\n",
		"| with authorizer: rate | 5,000 joined/s |  |  |  | 1 |\n",
		"| with authorizer: until joined | 1.50 s (1.40..1.60) | 2.90 s | – | 3 s | 3 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "tries") {
		t.Error("a figure that was to be left out is there")
	}
}

func TestAScenarioOfSeveralServersNamesThemOursFirstAndNoFloor(t *testing.T) {
	detail := one("http", "wsify", "CPU, by the CPU clock", "CPU us per publication", 6)
	detail.Detail = true
	text := section(t, scenesOf(t, nil,
		one("http", "floor", "CPU, to nobody", "CPU us per publication", 3),
		one("http", "nbio", "CPU, to nobody", "CPU us per publication", 9),
		one("http", "wsify", "CPU, to nobody", "CPU us per publication", 6),
		detail), "### http")
	if want := "|---|---|---|\n| wsify: CPU, to nobody | 6 CPU us per publication | 1 |\n| nbio: CPU, to nobody | 9 CPU us per publication | 1 |\n"; !strings.Contains(text, want) {
		t.Errorf("no %q in\n%s", want, text)
	}
}

func TestAScenarioThatFailedIsNotCalledUnmeasured(t *testing.T) {
	text := scenesOf(t, []string{"mesh: reset", "churn: reset"}, one("churn", "wsify", "descriptors left", "", 0))
	for heading, want := range map[string]string{
		"### mesh": "**It failed**", "### churn": "**It failed before its end**", "### drain": "It is not in the record.",
	} {
		if got := section(t, text, heading); !strings.Contains(got, want) {
			t.Errorf("%s: no %q in\n%s", heading, want, got)
		}
	}
	text = scenesOf(t, []string{"stopped after 30m0s: -timeout 30m0s is over"}, one("churn", "wsify", "descriptors left", "", 0))
	if got := section(t, text, "### churn"); strings.Contains(got, "failed") {
		t.Errorf("what ended before the run was stopped is said to have failed:\n%s", got)
	}
	if got := section(t, text, "### drain"); !strings.Contains(got, "**It failed**") {
		t.Errorf("no word of what the run did not come to:\n%s", got)
	}
}

func TestTheStormOfEachServerHasABarOfItsOwn(t *testing.T) {
	c := stormChart(&record{Figures: []figure{
		one("storm", "nbio", "storm, without authorizer: rate", "joined/s", 4000),
		one("storm", "wsify", "storm, without authorizer: rate", "joined/s", 9000),
		one("storm", "wsify", "storm, with authorizer: rate", "joined/s", 5000),
	}})
	var labels []string
	for _, g := range c.groups {
		labels = append(labels, g.server)
	}
	if want := []string{"wsify, without authorizer", "wsify, with authorizer", "nbio, without authorizer"}; !slices.Equal(labels, want) {
		t.Errorf("got %q, want %q", labels, want)
	}
	svg, err := c.draw()
	if err != nil || bytes.Contains(svg, []byte("NaN")) {
		t.Errorf("it cannot be drawn: %v", err)
	}
}
