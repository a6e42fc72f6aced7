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

// quantity writes a number with its unit, in the greatest unit that leaves it at
// least one. A ratio has no unit.
func quantity(v float64, unit string) string {
	if unit == "ratio" {
		return show(v)
	}
	steps, ok := scales[unit]
	if !ok {
		steps = []string{unit}
	}
	i := 0
	for i+1 < len(steps) && math.Abs(v) >= 1000 {
		v /= 1000
		i++
	}
	return strings.TrimSpace(show(v) + " " + steps[i])
}

// spread writes how far samples lie apart, or nothing when there is one.
func (f *figure) spread() string {
	if len(f.Samples) < 2 {
		return ""
	}
	return fmt.Sprintf("%s..%s", show(f.Min), show(f.Max))
}

// cell writes a figure for a table whose head has the unit.
func (f *figure) cell() string {
	if f == nil {
		return "–"
	}
	if s := f.spread(); s != "" {
		return fmt.Sprintf("%s (%s)", show(f.Median), s)
	}
	return show(f.Median)
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
