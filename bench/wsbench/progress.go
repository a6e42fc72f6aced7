//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// progress tells where a run is: on a terminal by a bar that is drawn over itself,
// elsewhere by a line for each step.
type progress struct {
	out      io.Writer
	terminal bool
	columns  int
	start    time.Time
	scenario string
	done     int
	total    int // steps of the scenario, as far as it said
}

const barCells = 24

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, start: time.Now(), columns: 80}
	if file, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil {
			p.terminal, p.columns = true, max(int(size.Col), 40)
		}
	}
	return p
}

// begin starts a scenario.
func (p *progress) begin(scenario string) { p.scenario, p.done, p.total = scenario, 0, 0 }

// expect says that n more steps will come.
func (p *progress) expect(n int) { p.total += n }

// step tells what begins now.
func (p *progress) step(text string) {
	p.done++
	if !p.terminal {
		fmt.Fprintf(p.out, "%s: %s\n", p.scenario, text)
		return
	}
	line := fmt.Sprintf("%4ds %s %s: %s", int(time.Since(p.start).Seconds()), p.bar(), p.scenario, text)
	if runes := []rune(line); len(runes) >= p.columns {
		line = string(runes[:p.columns-1])
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

// bar shows the steps that are behind, when the scenario said how many there are.
func (p *progress) bar() string {
	if p.total == 0 {
		return "[" + strings.Repeat(".", barCells) + "]"
	}
	cells := min(barCells*(p.done-1)/p.total, barCells)
	return "[" + strings.Repeat("#", cells) + strings.Repeat(".", barCells-cells) + "]"
}

// clear takes the bar away, so that a table can be printed.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// step tells where a scenario is.
func (b *bench) step(format string, args ...any) { b.progress.step(fmt.Sprintf(format, args...)) }
