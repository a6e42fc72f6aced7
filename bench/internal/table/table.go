// Package table prints a record for a person: what was found, whether it is good, in units that fit.
package table

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"wsify/bench/internal/record"
)

const (
	red, green, yellow, bold, reset = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
)

func Print(w io.Writer, r *record.Record, color bool) {
	paint := func(code, text string) string {
		if !color {
			return text
		}
		return code + text + reset
	}
	scenario := ""
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Scenario != scenario {
			_ = out.Flush()
			scenario = f.Scenario
			fmt.Fprintf(w, "\n%s\n", paint(bold, scenario))
			if r.Quick {
				fmt.Fprintln(w, "  (-quick: whether it works, not what it costs)")
			}
		}
		fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\n", Label(f, r.Vary), cmp.Or(f.Server, "-"), Value(f.Median, f.Unit), fmt.Sprintf("%s to %s, n=%d", Value(f.Low, f.Unit), Value(f.High, f.Unit), f.N), note(f, paint))
	}
	_ = out.Flush()
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s: %s\n", strings.TrimSpace(n.Scenario+" "+n.Server), n.Text)
	}
	for _, f := range r.Failures {
		fmt.Fprintln(w, paint(red, "failed: "+f))
	}
}

// Label is the figure's name, with the value of what is varied, and all of its digits.
func Label(f *record.Figure, vary string) string {
	if f.X == nil {
		return f.Name
	}
	return fmt.Sprintf("%s, %s %s", f.Name, cmp.Or(f.Along, vary), strconv.FormatFloat(*f.X, 'f', -1, 64))
}

func note(f *record.Figure, paint func(code, text string) string) string {
	var parts []string
	if f.Better != record.Fact {
		parts = append(parts, f.Better+" is better")
	}
	if f.Goal != nil {
		code := map[string]string{record.Met: green, record.Missed: red, record.Unsure: yellow}[f.Verdict]
		parts = append(parts, paint(code, f.Verdict+": "+f.Goal.Text))
	}
	return strings.Join(parts, "; ")
}

// scales are units that fit a range of values, largest first.
var scales = map[string][]struct {
	of   float64
	unit string
}{
	"s": {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}},
	"B": {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}},
}

// Value writes v, which is in a base unit, in one that fits, with three digits.
func Value(v float64, unit string) string {
	switch unit {
	case "1/s":
		return thousands(v) + "/s"
	case "ratio":
		return digits(v)
	case "":
		return thousands(v)
	}
	of, name := Scale(v, unit)
	return digits(v/of) + " " + name
}

// Scale returns a unit that fits v, and how much of the base unit it is.
func Scale(v float64, unit string) (of float64, name string) {
	for _, s := range scales[unit] {
		if math.Abs(v) >= s.of {
			return s.of, s.unit
		}
	}
	return 1, unit
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100, a < 10 && a == math.Trunc(a):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thousands writes a whole number with commas between its thousands.
func thousands(v float64) string {
	if math.Abs(v) < 100 {
		return digits(v)
	}
	return message.NewPrinter(language.English).Sprintf("%.0f", v)
}
