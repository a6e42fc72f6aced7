package main

import (
	"fmt"
	"io/fs"
	"math"
	"strings"
	"text/template"
)

// prose is the text written by hand, one file for each place in the report. It may
// quote a record, so that no number in it is ever out of date:
//
//	{{median "goals" "idle" "wsify" "RSS per connection, one channel for all"}}
//	{{at "curve-loops" "fanout" "wsify" "CPU, window 1" 2}}
//	{{ratio "peers" "echo" "wsify" "nbio" "CPU, 100 connections"}}
type prose struct{ files fs.FS }

// text returns a fragment with what it quotes filled in.
func (p prose) text(name string, lib *library) (string, error) {
	return p.filled(name, lib.quotes())
}

// filled does so by functions.
func (p prose) filled(name string, funcs template.FuncMap) (string, error) {
	file := name + ".md"
	source, err := fs.ReadFile(p.files, file)
	if err != nil {
		return "", err
	}
	t, err := template.New(file).Funcs(funcs).Parse(string(source))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := t.Execute(&out, nil); err != nil {
		return "", err
	}
	return strings.TrimSpace(out.String()), nil
}

// sections returns a fragment by its headings (### HEADING); what is before the
// first one is for its writers, and left out.
func (p prose) sections(name string, lib *library) (map[string]string, error) {
	text, err := p.text(name, lib)
	if err != nil {
		return nil, err
	}
	all := make(map[string]string)
	for _, part := range strings.Split("\n"+text, "\n### ")[1:] {
		heading, body, _ := strings.Cut(part, "\n")
		all[strings.TrimSpace(heading)] = strings.TrimSpace(body)
	}
	return all, nil
}

// quotes are the functions that prose may use. A kind without a record is not an
// error, since it may come; a figure that its record lacks is.
func (l *library) quotes() template.FuncMap {
	value := func(kind, scenario, server, name string, x float64) (*figure, error) {
		r := l.kinds[kind]
		if r == nil {
			return nil, nil
		}
		f := r.at(scenario, server, name, x)
		if f == nil {
			return nil, fmt.Errorf("%s has no figure %q of %s at %s", r.file, name, scenario, server)
		}
		return f, nil
	}
	quote := func(f *figure, err error) (string, error) {
		if err != nil || f == nil {
			return "(not measured yet)", err
		}
		return quantity(f.Median, f.Unit), nil
	}
	return template.FuncMap{
		"median": func(kind, scenario, server, name string) (string, error) {
			return quote(value(kind, scenario, server, name, math.NaN()))
		},
		"at": func(kind, scenario, server, name string, x float64) (string, error) {
			return quote(value(kind, scenario, server, name, x))
		},
		"ratio": func(kind, scenario, above, below, name string) (string, error) {
			a, err := value(kind, scenario, above, name, math.NaN())
			if err != nil || a == nil {
				return "(not measured yet)", err
			}
			b, err := value(kind, scenario, below, name, math.NaN())
			if err != nil {
				return "", err
			}
			return show(a.Median / b.Median), nil
		},
	}
}
