//go:build linux

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/peterbourgon/ff/v3"
)

// fromFile sets from the configuration file what neither the command line nor the
// environment has set. The error has one line for each line of the file that is wrong,
// which a second one for a setting is.
func (c *commandLine) fromFile() error {
	content, err := readFile(c.configFile, maxConfig)
	if err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	var problems []error
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		place := fmt.Sprintf("%s:%d", c.configFile, number)
		if err := c.fromLine(line, place); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", place, err))
		}
	}
	return errors.Join(problems...)
}

// located puts file and line before each problem with a value from the file. Those of
// Config.Validate begin with the name of the flag.
func (c *commandLine) located(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	problems := joined.Unwrap()
	for i, p := range problems {
		name, _, _ := strings.Cut(strings.TrimPrefix(p.Error(), "-"), ":")
		if s := c.byName[name]; s != nil && s.source == sourceFile {
			problems[i] = fmt.Errorf("%s: %w", s.place, p)
		}
	}
	return errors.Join(problems...)
}

// maxLine is what ff's parser takes of one line, in bytes; it would end in silence
// at a longer one.
const maxLine = 32 << 10

// withBlanks makes blanks of the tabs that end a name or begin a comment: ff's parser
// takes no other white space.
func withBlanks(line string) string {
	if i := strings.IndexAny(line, " \t"); i > 0 {
		line = line[:i] + " " + strings.TrimLeft(line[i:], " \t")
	}
	return strings.ReplaceAll(line, "\t#", " #")
}

// fromLine takes one line of the file. It is given to ff by itself, so that a
// complaint can say which one it was.
func (c *commandLine) fromLine(line, place string) error {
	if len(line) > maxLine {
		return fmt.Errorf("the line is longer than %s", formatSize(maxLine))
	}
	line = withBlanks(strings.TrimSpace(line))
	return ff.PlainParser(strings.NewReader(line), func(name, value string) error {
		s := c.byName[strings.TrimLeft(name, "-")]
		bare := !strings.Contains(line, " ") || strings.HasPrefix(value, "#")
		switch {
		case s == nil:
			return noSetting(name, c.names((*setting).key))
		case s.key() == "":
			return fmt.Errorf("%s cannot be set in a file", s.name)
		case bare && !s.isSwitch():
			return fmt.Errorf("%s has no value", s.name)
		case s.place != "":
			return fmt.Errorf("%s is set twice, before at %s", s.name, s.place)
		}
		s.place = place
		switch {
		case s.source == sourceFlag, s.source == sourceEnv:
			return nil
		case bare:
			value = "true"
		}
		return s.set(value, s.name, sourceFile)
	})
}
