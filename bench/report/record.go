package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// record is what one run of wsbench measured. All of it is read-only.
type record struct {
	file string // its name in the directory of records

	Date     time.Time `json:"date"`
	Duration string    `json:"duration"`
	Command  []string  `json:"command"` // wsbench's arguments
	Commit   string    `json:"commit"`
	Machine  machine   `json:"machine"`
	Servers  []server  `json:"servers"`
	Vary     string    `json:"vary"` // in curves: the flag that x is a value of
	Figures  []figure  `json:"figures"`
	Notes    []note    `json:"notes"`
	Failures []string  `json:"failures"`
}

type machine struct {
	CPU    string            `json:"cpu"`
	Cores  int               `json:"cores"`
	Kernel string            `json:"kernel"`
	Files  uint64            `json:"rlimit_nofile"`
	Memory uint64            `json:"memory_bytes"`
	Load   string            `json:"load_average"`
	Go     string            `json:"go"`
	OS     string            `json:"os"`
	Sysctl map[string]string `json:"sysctl"`
}

type server struct {
	Name    string `json:"name"`
	Command string `json:"command"`
	Files   uint64 `json:"rlimit_nofile"`
}

type figure struct {
	Scenario string    `json:"scenario"`
	Server   string    `json:"server"`
	Name     string    `json:"name"`
	X        *float64  `json:"x"`    // nil outside curves
	Unit     string    `json:"unit"` // "" for plain counts
	Goal     string    `json:"goal"`
	Detail   bool      `json:"detail"` // explains others; kept in the record, left out of the report
	Samples  []float64 `json:"samples"`
	Median   float64   `json:"median"`
	Min      float64   `json:"min"`
	Max      float64   `json:"max"`

	million bool // taken over from the record of the million
}

type note struct {
	Scenario string `json:"scenario"`
	Text     string `json:"text"`
}

// about says what a note is on, where it is on one scenario.
func (n note) about() string {
	if n.Scenario == "" {
		return ""
	}
	return " on " + n.Scenario
}

// errOldFormat is about a record of bench/measure, which named one server.
var errOldFormat = errors.New("a record of an older format")

// parseRecord reads a record and refuses one that the report could not be true to.
func parseRecord(file string, text []byte) (*record, error) {
	var format struct {
		Server json.RawMessage `json:"server"`
	}
	if err := json.Unmarshal(text, &format); err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(format.Server), `"`) {
		return nil, errOldFormat
	}
	r := &record{file: file}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, err
	}
	if r.Date.IsZero() {
		return nil, errors.New("it has no date")
	}
	if len(r.Figures) == 0 && len(r.Failures) == 0 {
		return nil, errors.New("it has neither figures nor failures")
	}
	for i, f := range r.Figures {
		if err := f.validate(); err != nil {
			return nil, fmt.Errorf("figure %d (%s, %q): %w", i, f.Scenario, f.Name, err)
		}
	}
	return r, nil
}

func (f *figure) validate() error {
	switch {
	case f.Scenario == "" || f.Name == "":
		return errors.New("scenario and name are needed")
	case f.Min > f.Median || f.Median > f.Max:
		return fmt.Errorf("median %v is not within min %v and max %v", f.Median, f.Min, f.Max)
	}
	for _, v := range f.Samples {
		if v < f.Min || v > f.Max {
			return fmt.Errorf("sample %v is not within min %v and max %v", v, f.Min, f.Max)
		}
	}
	return nil
}

// floorName is the server that makes only the system calls nobody can avoid, on one
// thread. Others of more threads are named after it.
const floorName = "floor"

// isFloor tells what can only be compared with from what is compared.
func isFloor(server string) bool {
	return server == floorName || strings.HasPrefix(server, floorName+" of ")
}

// find returns the figure without x of that name, nil when there is none.
func (r *record) find(scenario, server, name string) *figure {
	return r.at(scenario, server, name, math.NaN())
}

// at returns the figure at x; at NaN, the one without.
func (r *record) at(scenario, server, name string, x float64) *figure {
	for i := range r.Figures {
		f := &r.Figures[i]
		if f.Scenario != scenario || f.Server != server || f.Name != name {
			continue
		}
		if f.X == nil && math.IsNaN(x) || f.X != nil && *f.X == x {
			return f
		}
	}
	return nil
}

// scenarios are the names that a failure may begin with.
var scenarios = []string{
	"idle", "connect", "storm", "fanout", "mesh", "echo", "http", "burst", "slow", "slowloris", "talkers", "churn", "authorizer", "drain", "million",
	"nodes", "engines", "subscriptions", "pings",
}

// endedEarly tells whether a failure is the scenario's: it begins with its name.
func (r *record) endedEarly(scenario string) bool {
	return slices.ContainsFunc(r.Failures, func(text string) bool { return failureOf(text) == scenario })
}

// failed tells whether a failure is why something of the scenario is missing. One that
// begins with no scenario, as when the time was over, keeps from everybody what is not there.
func (r *record) failed(scenario string) bool {
	return r.endedEarly(scenario) ||
		slices.ContainsFunc(r.Failures, func(text string) bool { return !slices.Contains(scenarios, failureOf(text)) })
}

// failureOf is the word that a failure begins with.
func failureOf(text string) string {
	if i := strings.IndexAny(text, " :,"); i >= 0 {
		return text[:i]
	}
	return text
}

// whyNot says why the record lacks a figure of the scenario.
func (r *record) whyNot(scenario string) string {
	if r.failed(scenario) {
		return failed
	}
	return absent
}
