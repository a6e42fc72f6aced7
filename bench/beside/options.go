//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options is the command line.
type options struct {
	tool        string // k6 or tcpkali
	scripts     string
	server      string
	serverArgs  string
	connections int
	rate        float64
	size        int
	duration    time.Duration
	timeout     time.Duration

	k6          string
	wsbench     string
	wsbenchRun  string
	wsbenchArgs string
}

// parseOptions reads the command line. It returns flag.ErrHelp after printing help.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("beside", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.Usage = func() {
		fmt.Fprintln(stderr, "go run ./bench/beside [flags] k6|tcpkali")
		set.PrintDefaults()
	}
	o.register(set)
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() != 1 || !slices.Contains([]string{"k6", "tcpkali"}, set.Arg(0)) {
		return o, errors.New("name the tool after the flags: k6 or tcpkali")
	}
	o.tool = set.Arg(0)
	return o, o.validate()
}

func (o *options) register(set *flag.FlagSet) {
	set.StringVar(&o.scripts, "scripts", "", "`names` of the scripts to run; all when empty")
	set.StringVar(&o.server, "server", "", "`path` of the server; when empty ./bin/wsify, built anew")
	set.StringVar(&o.serverArgs, "server-args", "", "further `arguments` of the server, separated by spaces")
	set.IntVar(&o.connections, "connections", 100, "connections at once")
	set.Float64Var(&o.rate, "rate", 20, "publications a second of each publisher (k6) or connection (tcpkali's echo)")
	set.IntVar(&o.size, "size", 128, "bytes of content")
	set.DurationVar(&o.duration, "duration", 10*time.Second, "length of one script's load")
	set.DurationVar(&o.timeout, "timeout", 10*time.Minute, "give up after so long")
	set.StringVar(&o.k6, "k6", "", "`path` of k6; when empty ./bin/tools/k6, fetched when it is not there")
	set.StringVar(&o.wsbench, "wsbench", "./bench/wsbench", "our own generator: a program or the `directory` of its source; none leaves it out")
	set.StringVar(&o.wsbenchRun, "wsbench-run", "connect,storm,fanout,echo,idle", "its scenarios; those without a script beside them are left out")
	set.StringVar(&o.wsbenchArgs, "wsbench-args", "-quick", "further `arguments` of it, separated by spaces")
}

func (o *options) validate() error {
	var errs []error
	if o.connections < 1 || o.rate <= 0 {
		errs = append(errs, errors.New("-connections and -rate have to be above zero"))
	}
	if o.size < 64 || o.size > 60<<10 {
		errs = append(errs, errors.New("-size: from 64 to 61440"))
	}
	if o.duration < time.Second || o.duration > time.Hour {
		errs = append(errs, errors.New("-duration: from 1s to 1h"))
	}
	all := toolOf(o.tool).scripts()
	for _, name := range o.names(nil) {
		if !slices.Contains(all, name) {
			errs = append(errs, fmt.Errorf("-scripts %s: %s has %s", name, o.tool, strings.Join(all, ", ")))
		}
	}
	return errors.Join(errs...)
}

// names returns what -scripts gives, or all.
func (o *options) names(all []string) []string {
	if o.scripts == "" {
		return all
	}
	return split(o.scripts)
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
