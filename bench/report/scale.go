package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"strings"
	"text/template"
)

// scaleFile is the paper on many nodes, by its path from the report's directory: a
// calculation from the records, so that none of its numbers is ever out of date.
const scaleFile = "../docs/scale.md"

const generatedScale = "<!-- Written by bench/report from bench/results and bench/report/text/scale.md: edit that, then run make bench-report. -->\n\n"

// unmeasured is what a calculation shows that lacks a record.
const unmeasured = "(not measured yet)"

// buildScale makes the paper, where there is a text of it.
func (b *builder) buildScale() error {
	funcs := maps.Clone(b.lib.quotes())
	maps.Copy(funcs, b.lib.arithmetic())
	text, err := b.prose.filled("scale", funcs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("text: %w", err)
	}
	b.files[scaleFile] = []byte(generatedScale + text + "\n")
	return nil
}

// arithmetic is what the paper calculates with: numbers are float64, and one that is
// not measured yet is NaN, as is all that is made of it.
//
//	{{$a := num "nodes" "engines" "redis" "rate, POST"}} {{count (mul $a 2.0)}}
func (l *library) arithmetic() template.FuncMap {
	return template.FuncMap{
		"num": func(kind, scenario, server, name string) (float64, error) {
			r := l.kinds[kind]
			if r == nil {
				return math.NaN(), nil
			}
			f := r.find(scenario, server, name)
			if f == nil {
				return 0, fmt.Errorf("%s has no figure %q of %q", r.file, name, server)
			}
			return f.Median, nil
		},
		"add": func(a float64, more ...float64) float64 {
			for _, v := range more {
				a += v
			}
			return a
		},
		"mul": func(a float64, more ...float64) float64 {
			for _, v := range more {
				a *= v
			}
			return a
		},
		"sub":    func(a, b float64) float64 { return a - b },
		"div":    func(a, b float64) float64 { return a / b },
		"pow":    math.Pow,
		"ceil":   math.Ceil,
		"count":  count,
		"digits": func(v float64) string { return measured3(v, short) },
		"amount": func(v float64, unit string) string {
			return measured3(v, func(v float64) string { return quantity(v, unit) })
		},
		"record": func(kind string) string {
			if r := l.kinds[kind]; r != nil {
				return link(r.file, "../bench/results")
			}
			return unmeasured
		},
	}
}

// measured3 writes a number to three digits, if it was measured.
func measured3(v float64, write func(float64) string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return unmeasured
	}
	return write(round3(v))
}

// short is show without zeros at the end of a fraction.
func short(v float64) string {
	s := show(v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// round3 leaves three digits of a number, and of one that has more before its point
// those that make it easy to read.
func round3(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}

// count writes a large number in words, to three digits: 16,700 or 1.67 million.
func count(v float64) string {
	return measured3(v, func(v float64) string {
		switch {
		case math.Abs(v) >= 1e9:
			return short(v/1e9) + " billion"
		case math.Abs(v) >= 1e6:
			return short(v/1e6) + " million"
		}
		return short(v)
	})
}
