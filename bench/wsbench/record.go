//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// resultsDir is where records are kept, below the directory of the module.
const resultsDir = "bench/results"

// figure is one line of the table.
type figure struct {
	Scenario string    `json:"scenario"`
	Server   string    `json:"server"` // a contender's name, floorName, or "" for the generator's own
	Name     string    `json:"name"`
	X        *float64  `json:"x,omitempty"` // the value of -vary
	Unit     string    `json:"unit"`
	Goal     string    `json:"goal,omitempty"`
	Detail   bool      `json:"detail,omitempty"` // kept in the record, left out of the table
	Samples  []float64 `json:"samples"`
	summary
}

// note is a remark on a scenario: what limited it, what did not come to rest.
type note struct {
	Scenario string `json:"scenario"`
	Text     string `json:"text"`
}

// record is everything one run found.
type record struct {
	Date     time.Time `json:"date"`
	Duration string    `json:"duration"`
	Command  []string  `json:"command"`
	Machine  machine   `json:"machine"`
	Commit   string    `json:"commit"`
	Servers  []entrant `json:"servers"`
	Vary     string    `json:"vary,omitempty"` // what the figures' x is
	Figures  []figure  `json:"figures"`
	Notes    []note    `json:"notes"`
	Failures []string  `json:"failures"`

	scenario string   // that add and remark speak of
	x        *float64 // of the figures to come
	leftOut  []string // contenders that failed in some scenario

	mu    sync.Mutex // guards Figures, Notes, Failures, Servers and ended: a run may be cut short
	ended bool       // nothing is taken any more
}

// entrant is a contender as the record names it.
type entrant struct {
	Name    string `json:"name"`
	Command string `json:"command"`
	Files   uint64 `json:"rlimit_nofile,omitempty"` // of its process; 0 when it was never started
}

// add records a figure of the current scenario. One without samples is left out:
// the scenario said why.
func (r *record) add(server, name, unit, goal string, samples ...float64) {
	if len(samples) == 0 {
		return
	}
	r.take(figure{Server: server, Name: name, Unit: unit, Goal: goal, Samples: samples})
}

// take completes a figure and keeps it. Samples of a figure that the scenario has
// already are another round's of the same.
func (r *record) take(f figure) {
	f.Scenario, f.X = r.scenario, r.x
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	for i := range r.Figures {
		if old := &r.Figures[i]; old.same(&f) {
			old.Samples = append(old.Samples, f.Samples...)
			old.summary = summarize(old.Samples)
			return
		}
	}
	f.summary = summarize(f.Samples)
	r.Figures = append(r.Figures, f)
}

// same reports whether two figures are of one scenario, server and name.
func (f *figure) same(g *figure) bool {
	sameX := f.X == g.X || f.X != nil && g.X != nil && *f.X == *g.X
	return sameX && f.Scenario == g.Scenario && f.Server == g.Server && f.Name == g.Name && f.Unit == g.Unit
}

// detail records a figure that only checks or explains others.
func (r *record) detail(server, name, unit string, samples ...float64) {
	if len(samples) == 0 {
		return
	}
	r.take(figure{Server: server, Name: name, Unit: unit, Detail: true, Samples: samples})
}

// started notes the limit of a contender's process.
func (r *record) started(name string, files uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.Servers {
		if r.Servers[i].Name == name {
			r.Servers[i].Files = files
		}
	}
}

// remark records a note on the current scenario, once.
func (r *record) remark(format string, args ...any) {
	n := note{r.scenario, fmt.Sprintf(format, args...)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	for _, old := range r.Notes {
		if old == n {
			return
		}
	}
	r.Notes = append(r.Notes, n)
}

// fail records that something was not measured, and why.
func (r *record) fail(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.Failures = append(r.Failures, why)
	}
}

// end records why a run was cut short, and takes nothing any more: what is in the
// record was measured while everybody was alive.
func (r *record) end(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Failures = append(r.Failures, why)
	r.ended = true
}

// mark is how much the record holds at one moment.
type mark struct{ figures, notes int }

func (r *record) mark() mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return mark{len(r.Figures), len(r.Notes)}
}

// print writes the table of what one scenario added since a mark; nothing when there
// is nothing.
func (r *record) print(w io.Writer, since mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	figures, notes := r.Figures[since.figures:], r.Notes[since.notes:]
	if len(figures)+len(notes) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s%s\n", r.scenario, r.at())
	if len(figures) > 0 {
		printTable(w, figures)
	}
	for _, n := range notes {
		fmt.Fprintf(w, "  note: %s\n", n.Text)
	}
}

func printTable(w io.Writer, figures []figure) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  server\tfigure\tunit\tmedian\tmin\tmax\tgoal")
	for _, f := range figures {
		if !f.Detail {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Server, f.Name, f.Unit, show(f.Median), show(f.Min), show(f.Max), f.Goal)
		}
	}
	t.Flush()
}

// at says which value of -vary the figures are for.
func (r *record) at() string {
	if r.x == nil {
		return ""
	}
	return fmt.Sprintf(", %s %s", r.Vary, strconv.FormatFloat(*r.x, 'f', -1, 64))
}

// show prints a figure with about four digits.
func show(v float64) string {
	decimals := 3
	switch size := max(v, -v); {
	case size >= 1000:
		decimals = 0
	case size >= 100:
		decimals = 1
	case size >= 10:
		decimals = 2
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// resultsFile returns where a record goes: a bare name belongs to resultsDir.
func resultsFile(name string) string {
	if !strings.ContainsRune(name, filepath.Separator) {
		return filepath.Join(resultsDir, name)
	}
	return name
}

// checkRecord refuses, before anything is measured, a file that write would refuse.
func (o *options) checkRecord() error {
	if o.json == "" {
		return nil
	}
	path := resultsFile(o.json)
	_, err := os.Lstat(path)
	if err == nil {
		return fmt.Errorf("-json %s: the record exists; records are added, never edited", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// write stores the record as JSON. Records are added, never edited: a file that
// exists is an error.
func (r *record) write(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := resultsFile(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(text, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
