//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestProgressIsALineForEachStepUnlessOnATerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	p.begin("idle")
	p.expect(2)
	p.step("first")
	p.step("second")
	p.clear()
	if got, want := out.String(), "idle: first\nidle: second\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestProgressOnATerminalIsOneBarThatFitsTheLine(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	p.terminal, p.columns = true, 60
	p.begin("fanout")
	p.expect(4)
	for range 4 {
		p.step(strings.Repeat("wide ", 20))
	}
	p.clear()
	lines := strings.Split(out.String(), "\r\x1b[K")
	if len(lines) != 6 || strings.Contains(out.String(), "\n") {
		t.Fatalf("printed %q, want four steps drawn over each other", out.String())
	}
	for _, line := range lines {
		if len(line) >= 60 {
			t.Errorf("%q is wider than the terminal", line)
		}
	}
	if !strings.Contains(lines[1], "["+strings.Repeat(".", 24)+"]") || !strings.Contains(lines[3], strings.Repeat("#", 12)+".") {
		t.Errorf("bars %q, want none, then a quarter more each", lines)
	}
	p.begin("unknown")
	p.step("a scenario that did not say how long it is")
	if bar := p.bar(); strings.Contains(bar, "#") {
		t.Errorf("bar %q, want an empty one", bar)
	}
}
