package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// show writes a number with about three digits and commas between thousands.
func show(v float64) string {
	decimals := 3
	switch size := math.Abs(v); {
	case v == math.Trunc(v) || size >= 100:
		decimals = 0
	case size >= 10:
		decimals = 1
	case size >= 1:
		decimals = 2
	}
	return group(strconv.FormatFloat(v, 'f', decimals, 64))
}

// group sets commas between the thousands of a decimal number.
func group(s string) string {
	whole, fraction, point := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	return sign + whole
}

// scales are units that have greater ones, a thousand times each.
var scales = map[string][]string{
	"B":  {"B", "KB", "MB", "GB"},
	"MB": {"MB", "GB"},
	"us": {"us", "ms", "s"},
}

// step is the greatest unit that leaves v at least one, and how many of the given unit it is.
func step(v float64, unit string) (size float64, name string) {
	steps, ok := scales[unit]
	if !ok {
		steps = []string{unit}
	}
	size = 1
	for i, name := range steps {
		if math.Abs(v)/size < 1000 || i+1 == len(steps) {
			return size, name
		}
		size *= 1000
	}
	return 1, unit
}

// quantity writes a number with its unit, in the greatest unit that leaves it at
// least one. A ratio has no unit.
func quantity(v float64, unit string) string {
	if unit == "ratio" {
		return show(v)
	}
	size, name := step(v, unit)
	return strings.TrimSpace(show(v/size) + " " + name)
}

// spread writes how far samples lie apart, or nothing when there is one.
func (f *figure) spread() string { return f.spreadIn(1) }

// spreadBeside is the spread in the unit that quantity gives the median.
func (f *figure) spreadBeside() string {
	size, _ := step(f.Median, f.Unit)
	return f.spreadIn(size)
}

func (f *figure) spreadIn(size float64) string {
	if len(f.Samples) < 2 {
		return ""
	}
	return fmt.Sprintf("%s..%s", show(f.Min/size), show(f.Max/size))
}

// whole writes a figure with its unit and spread.
func (f *figure) whole() string {
	if f == nil {
		return "–"
	}
	if s := f.spreadBeside(); s != "" && f.Min != f.Max {
		return fmt.Sprintf("%s (%s)", quantity(f.Median, f.Unit), s)
	}
	return quantity(f.Median, f.Unit)
}

// cell writes a figure for a table whose head has the unit.
func (f *figure) cell() string {
	if f == nil {
		return "–"
	}
	text := show(f.Median)
	if s := f.spread(); s != "" {
		text += fmt.Sprintf(" (%s)", s)
	}
	if f.million {
		text += " ‡"
	}
	return text
}

// count writes how many samples a figure has.
func (f *figure) count() string {
	if len(f.Samples) == 0 {
		return "–"
	}
	return strconv.Itoa(len(f.Samples))
}

// sortedKeys gives maps an order, so that the report's bytes are the same each time.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
