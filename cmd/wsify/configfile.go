//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3"
)

// fromFile sets from the configuration file what neither the command line nor the environment has
// set. The error has one line for each wrong line of the file. A second line for the same setting
// is wrong.
func (c *commandLine) fromFile() error {
	content, err := readFile(c.configFile, maxConfig, c.again)
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

// located adds file and line to each problem with a value from the file. Problems from
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

// noLine returns the error about a line that is no setting.
func (c *commandLine) noLine(text string) error {
	variable, _ := nameOf(text)
	for _, s := range c.all {
		if key := s.key(); key != "" && slices.Contains([]string{s.env(), s.fileEnv()}, variable) {
			return fmt.Errorf("%s is a variable, which belongs into the environment (wsify.env of the packages); the line for this file is: %s VALUE", variable, key)
		}
	}
	return noSetting(strings.TrimLeft(text, "-"), c.names((*setting).key))
}

// maxLine is the longest line, in bytes, that ff's parser reads; at a longer one it would stop
// without an error.
const maxLine = 32 << 10

// withBlanks replaces the tabs that end a name or begin a comment by blanks, because ff's parser
// accepts no other white space.
func withBlanks(line string) string {
	if i := strings.IndexAny(line, " \t"); i > 0 {
		line = line[:i] + " " + strings.TrimLeft(line[i:], " \t")
	}
	return strings.ReplaceAll(line, "\t#", " #")
}

// fromLine parses one line of the file. It gives ff a single line, so that an error can name it.
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
			return c.noLine(name)
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
