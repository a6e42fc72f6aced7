//go:build linux

package main

import (
	"flag"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"wsify/internal/server"
)

// setting is one row of the table from which everything else is made.
type setting struct {
	name    string
	arg     string // the name of the value in -help; empty for a switch
	example string
	about   string // sentences for -help
	note    string // the text of the default in -help, where the value is not clear
	secret  bool   // masked by -print-config; may be read from a file
	once    bool   // only for the command line: an action, not a setting
	reload  bool   // a reload changes it
	counts  bool   // of reload: but not from 0, as what is counted only then would be missing
	command string // the only command that takes it; "" for all
	value   flag.Value

	initial string // the default, as the value prints it
	source  string // the source of the current value
	given   int    // how often it is on the command line
	place   string // its file and line in the configuration file, or ""
}

// group is a group of settings in -help.
type group struct {
	title    string
	settings []*setting
}

// flag returns the name of s on the command line.
func (s *setting) flag() string { return "-" + s.name }

// key returns the name of s in the configuration file, or "" when it is not allowed there.
func (s *setting) key() string {
	if s.once || s.name == "config" {
		return ""
	}
	return s.name
}

// env returns the variable that sets s, or "" when none does.
func (s *setting) env() string {
	if s.once {
		return ""
	}
	return "WSIFY_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// fileEnv returns the variable that names a file with the value, or "".
func (s *setting) fileEnv() string {
	if !s.secret {
		return ""
	}
	return s.env() + "_FILE"
}

// isSwitch reports whether s may have no value.
func (s *setting) isSwitch() bool {
	b, ok := s.value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// counted is a setting as a flag.Value.
type counted struct {
	*setting
	mistakes *[]error
}

func (s counted) String() string {
	if s.setting == nil { // flag calls String on the zero value
		return ""
	}
	return s.value.String()
}

// Set records a refused value and goes on, so that all mistakes are reported at once.
func (s counted) Set(to string) error {
	s.given++
	if err := s.set(to, s.flag(), sourceFlag); err != nil {
		*s.mistakes = append(*s.mistakes, err)
	}
	s.source = sourceFlag
	return nil
}

func (s counted) IsBoolFlag() bool { return s.isSwitch() }

// commandLine is a parsed command line.
type commandLine struct {
	command     string // "" to serve
	server      server.Config
	logLevel    slog.Level
	logFormat   string
	configFile  string
	showVersion bool
	checkConfig bool
	printConfig bool
	connections int  // that doctor is asked about; 0 when it is not
	asJSON      bool // how doctor answers

	args    []string          // of the command line
	env     map[string]string // the environment
	again   bool              // files are read again, for a reload
	inForce map[string]string // the settings, as they were given; a reload changes some
	inFile  int               // how many are from the configuration file
	level   slog.LevelVar     // of the log

	mistakes []error  // of the command line
	empty    []string // variables that are set and empty

	settings []group
	all      []*setting // of all groups
	byName   map[string]*setting
	flags    *flag.FlagSet
}

// defaultAdminAddr is the address of the program's admin listener. A server.Config has none by
// default.
const defaultAdminAddr = "127.0.0.1:3001"

// newCommandLine returns one with the defaults. Those of the server are the ones that Validate
// fills in, except where they depend on the machine: these stay 0.
func newCommandLine() *commandLine {
	c := &commandLine{logFormat: logJSON, byName: map[string]*setting{}}
	if err := c.server.Validate(); err != nil {
		panic(fmt.Sprintf("the default configuration is refused: %v", err))
	}
	c.server.AdminAddr = defaultAdminAddr
	c.server.Loops, c.server.Shards, c.server.Workers, c.server.Queue = 0, 0, 0, 0
	c.server.MaxMemory, c.server.MaxWriteMemory = 0, 0
	c.settings = c.table()
	for _, g := range c.settings {
		c.all = append(c.all, g.settings...)
	}
	c.flags = newFlagSet()
	for _, s := range c.all {
		s.initial, s.source = s.value.String(), sourceDefault
		c.byName[s.name] = s
		c.flags.Var(counted{s, &c.mistakes}, s.name, s.about)
	}
	return c
}

func text(to *string) flag.Value     { return &value[string]{to, parseText, formatText} }
func nonEmpty(to *string) flag.Value { return &value[string]{to, parseNonEmpty, formatText} }
func list(to *[]string) flag.Value   { return &value[[]string]{to, parseList, formatList} }
func lists(to *[]string) flag.Value {
	return &repeatable{value: value[[]string]{to, parseList, formatList}}
}
func size(to *int) flag.Value       { return &value[int]{to, parseSize, formatSize} }
func sizeOrAuto(to *int) flag.Value { return &value[int]{to, parseSizeOrAuto, formatSize} }
func count(to *int) flag.Value      { return &value[int]{to, parseCount, strconv.Itoa} }
func auto(to *int) flag.Value       { return &value[int]{to, parseAuto, strconv.Itoa} }
func toggle(to *bool) flag.Value    { return &value[bool]{to, parseBool, strconv.FormatBool} }
func timeout(to *time.Duration) flag.Value {
	return &value[time.Duration]{to, parseTimeout, formatDuration}
}
