//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// The sources of a setting, as -print-config shows them.
const (
	sourceDefault = "default"
	sourceFlag    = "flag"
	sourceEnv     = "env"
	sourceFile    = "file"
)

// newFlagSet returns a flag set that prints nothing by itself.
func newFlagSet() *flag.FlagSet {
	fs := flag.NewFlagSet("wsify", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	return fs
}

// parse parses the command line. The error is flag.ErrHelp when help is asked for, otherwise it has
// one line for each mistake. Package flag stops at each mistake that is not a wrong value, so parse
// calls it again for the rest.
func (c *commandLine) parse(args []string) error {
	for all := len(args); ; {
		err := c.flags.Parse(args)
		switch args = c.flags.Args(); {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err == nil && len(args) == 0:
			return errors.Join(append(c.mistakes, c.misplaced()...)...)
		case err == nil:
			err = c.unexpected(args[0], all-len(args)+1)
		default:
			if text, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: "); ok {
				err = c.unknown(text, all-len(args))
			} else if text, ok := strings.CutPrefix(err.Error(), "bad flag syntax: "); ok {
				err = c.badSyntax(text, all-len(args)+1)
			}
		}
		c.mistakes = append(c.mistakes, err)
		if len(args) > 0 && !flagLike.MatchString(args[0]) {
			args = args[1:] // the mistake itself, or the value of an unknown flag
		}
	}
}

// notShown ends the errors about what stands behind a secret, or a mistake, and so may belong to a
// secret, as in -admin-key = SECRET, also when that begins with a dash.
const notShown = "not shown because it may belong to a secret"

// secretive reports whether the next mistake may belong to a secret: then only its number is shown.
func (c *commandLine) secretive() bool { return len(c.mistakes) > 0 || c.hasSecret() }

// unknown returns the error about the argument with this number, which is written as a flag. What is
// nearly the name of a setting is no secret.
func (c *commandLine) unknown(text string, number int) error {
	flags := c.names((*setting).flag)
	name, _ := nameOf(text)
	if near, distance := nearest(name, flags); c.secretive() && distance > len(near)/4 {
		return fmt.Errorf("argument %d is no setting, and is %s", number, notShown)
	}
	return noSetting(text, flags)
}

func (c *commandLine) badSyntax(text string, number int) error {
	name, _ := nameOf(text)
	if c.secretive() && strings.Trim(name, "-") != "" {
		return fmt.Errorf("bad flag syntax: argument %d, which is %s", number, notShown)
	}
	return fmt.Errorf("bad flag syntax: %s", name)
}

// unexpected returns the error about the argument with this number, which is no flag.
func (c *commandLine) unexpected(arg string, number int) error {
	if c.secretive() {
		return fmt.Errorf("unexpected argument %d, which is %s", number, notShown)
	}
	name, _ := nameOf(arg)
	if slices.Contains([]string{"help", "version"}, name) {
		return fmt.Errorf("unexpected argument %q; it is a flag: -%s", name, name)
	}
	return fmt.Errorf("unexpected argument %q", name)
}

// hasSecret reports whether the command line has set a secret.
func (c *commandLine) hasSecret() bool {
	return slices.ContainsFunc(c.all, func(s *setting) bool { return s.secret && s.given > 0 })
}

// misplaced returns a problem for each flag that only another command takes.
func (c *commandLine) misplaced() (problems []error) {
	for _, s := range c.all {
		if s.given > 0 && s.command != "" && s.command != c.command {
			problems = append(problems, fmt.Errorf("%s is for wsify %s", s.flag(), s.command))
		}
	}
	return problems
}

// flagLike matches possible flags. Package flag continues after each of these.
var flagLike = regexp.MustCompile("^--?[a-zA-Z]")

// load takes settings that the command line has not set from the environment, then from the
// configuration file. The error has one line for each problem.
func (c *commandLine) load(env map[string]string) error {
	var problems []error
	for _, s := range c.all {
		problems = append(problems, s.fromEnv(env, c.again))
	}
	problems = append(problems, c.checkNames(env)...)
	c.empty = c.emptyNames(env)
	if c.configFile != "" {
		problems = append(problems, c.fromFile())
	}
	return errors.Join(problems...)
}

// environment returns environ, which is of the form of os.Environ, as a map.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// fromEnv sets s from its variable, or from the file that its other variable names, unless the
// command line has set it. Both variables at once are an error in any case, because one of them
// does not have the effect that its author expects.
func (s *setting) fromEnv(env map[string]string, again bool) error {
	name, fileName := s.env(), s.fileEnv()
	got, path := env[name], env[fileName]
	switch {
	case got != "" && path != "":
		return fmt.Errorf("%s and %s are both set, set one of them", name, fileName)
	case s.source != sourceDefault:
		return nil
	case path != "":
		secret, err := readSecret(path, again)
		if err != nil {
			return fmt.Errorf("%s: %w", fileName, err)
		}
		return s.set(secret, fileName, sourceEnv)
	case got != "":
		return s.set(got, name, sourceEnv)
	}
	return nil
}

// set gives s a value. An error has where, and the value unless it is a secret. A quoted value is
// refused: a shell removes the quotes on the command line, but other programs that start wsify may
// not.
func (s *setting) set(to, where, source string) error {
	if quoted(to) {
		return fmt.Errorf("%s: the quotes around the value would be part of it; leave them out", where)
	}
	if err := s.value.Set(to); err != nil {
		if s.secret {
			return fmt.Errorf("%s: %w", where, err)
		}
		return fmt.Errorf("%s: invalid value %q: %w", where, to, err)
	}
	s.source = source
	return nil
}

func quoted(value string) bool {
	return len(value) > 1 && strings.ContainsRune("\"'", rune(value[0])) && value[len(value)-1] == value[0]
}

// maxSecret and maxConfig bound the files that are read, in bytes.
const (
	maxSecret = 64 << 10
	maxConfig = 1 << 20
)

// readSecret returns the content of a file, without the newline at its end.
func readSecret(path string, again bool) (string, error) {
	p, err := readFile(path, maxSecret, again)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(p), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

// byteOrderMark is what some editors put at the beginning of a file; it belongs to no value.
const byteOrderMark = "\ufeff"

// readFile returns the content of a file, at most limit bytes, without a byte order mark. At the
// start that may be a pipe. What is read again has to be a regular file: a pipe that was read is
// empty, or would be waited for.
func readFile(path string, limit int64, again bool) ([]byte, error) {
	mode := os.O_RDONLY
	if again {
		mode |= syscall.O_NONBLOCK
	}
	f, err := os.OpenFile(path, mode, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); again && (err != nil || !info.Mode().IsRegular()) {
		return nil, errors.Join(err, fmt.Errorf("%s is not a regular file, so it cannot be read again", path))
	}
	p, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(p)) > limit {
		err = fmt.Errorf("%s has more than %s", path, formatSize(int(limit)))
	}
	return bytes.TrimPrefix(p, []byte(byteOrderMark)), err
}
