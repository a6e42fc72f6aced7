package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// library is the directory of records.
type library struct {
	kinds  map[string]*record // the newest of each kind
	allocs *allocations       // the newest record of the Go benchmarks, or nil
	passed []passed           // what the report does not show, by file name

	profiles []string // by file name, oldest first; all are shown
}

// passed is a file that was passed over, and why.
type passed struct{ file, why string }

// dated takes a record's file name apart: date, perhaps a time, kind.
var dated = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}(?:-\d{6})?)-(.+)\.json$`)

// goRecord is a record of make bench.
var goRecord = regexp.MustCompile(`^go-\d{4}-\d{2}-\d{2}.*\.txt$`)

// profile is where a program's time went, as text.
var profile = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(?:-\d{6})?-profile-.+\.txt$`)

// readLibrary reads every record in dir; a bad one is an error that names it.
func readLibrary(dir string) (*library, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	l := &library{kinds: make(map[string]*record)}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if err := l.read(dir, e.Name()); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, e.Name()), err)
		}
	}
	slices.SortFunc(l.passed, func(a, b passed) int { return strings.Compare(a.file, b.file) })
	return l, nil
}

func (l *library) read(dir, name string) error {
	json := strings.HasSuffix(name, ".json")
	if profile.MatchString(name) {
		l.profiles = append(l.profiles, name)
	}
	if !json && !goRecord.MatchString(name) {
		return nil // the README of the directory, and what is only linked
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if !json {
		return l.addAllocations(name, text)
	}
	r, err := parseRecord(name, text)
	if errors.Is(err, errOldFormat) {
		l.pass(name, "of an older format")
		return nil
	}
	if err != nil {
		return err
	}
	parts := dated.FindStringSubmatch(name)
	if parts == nil {
		return errors.New("its name is not DATE-KIND.json, as in 2026-11-24-goals.json")
	}
	kind := parts[2]
	if !known(kind) {
		l.pass(name, "of a kind that has no place in the report")
		return nil
	}
	l.keepNewer(kind, r)
	return nil
}

// keepNewer shows r unless there is a record of its kind from a later moment. File
// names do not tell: of two of one day only the second has the time in its name, and
// a digit sorts before a letter.
func (l *library) keepNewer(kind string, r *record) {
	old := l.kinds[kind]
	if old != nil && old.Date.After(r.Date) {
		old, r = r, old
	}
	if old != nil {
		l.pass(old.file, "there is a newer one")
	}
	l.kinds[kind] = r
}

func (l *library) addAllocations(name string, text []byte) error {
	a, err := parseAllocations(name, string(text))
	if err != nil {
		return err
	}
	if l.allocs != nil {
		l.pass(l.allocs.file, "there is a newer one")
	}
	l.allocs = a
	return nil
}

func (l *library) pass(file, why string) { l.passed = append(l.passed, passed{file, why}) }

// known tells whether the report has a place for records of that kind.
func known(kind string) bool {
	return kind == "goals" || kind == "peers" || kind == "million" || kind == nodesKind || strings.HasPrefix(kind, curvePrefix)
}

// used returns the records that the report shows, by kind.
func (l *library) used() []*record {
	var all []*record
	for _, kind := range sortedKeys(l.kinds) {
		all = append(all, l.kinds[kind])
	}
	return all
}
