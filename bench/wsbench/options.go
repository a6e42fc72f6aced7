package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/record"
	"wsify/bench/internal/runner"
	"wsify/bench/internal/scenario"
)

// options is the command line of run and compare, and the run that is made of it.
type options struct {
	runner.Config
	run, server, serverArgs, target string
	against                         []string
	workers, vary, ramp, out        string
	p99, timeout                    time.Duration
	json, floor                     bool
	given                           map[string]bool // flags
}

// within is a flag whose value lies within bounds.
type within[T int | float64 | time.Duration] struct {
	at          *T
	parse       func(text string) (T, error)
	least, most T
}

func (w within[T]) String() string {
	if w.at == nil { // package flag compares with the zero value
		return ""
	}
	return fmt.Sprint(*w.at)
}

// Set does not take a number that is none, either.
func (w within[T]) Set(text string) error {
	v, err := w.parse(text)
	if err == nil && !(v >= w.least && v <= w.most) {
		err = fmt.Errorf("it has to be from %v to %v", w.least, w.most)
	}
	if err == nil {
		*w.at = v
	}
	return err
}

// register defines the flags. compare starts two programs itself, and has fewer.
func (o *options) register(set *flag.FlagSet, compare bool) {
	number := func(at *int, name string, value, least, most int, usage string) {
		*at = value
		set.Var(within[int]{at, strconv.Atoi, least, most}, name, usage)
	}
	duration := func(at *time.Duration, name string, value time.Duration, usage string) {
		*at = value
		set.Var(within[time.Duration]{at, time.ParseDuration, time.Millisecond, 1000 * time.Hour}, name, usage)
	}
	set.StringVar(&o.run, "run", "", "`scenarios` to run, with commas between them; without it all that wsbench list does not except")
	set.StringVar(&o.serverArgs, "server-args", "", "further `arguments` of the server, of NEW with compare; -listen-addr is set by wsbench")
	set.BoolVar(&o.floor, "floor", false, "a yardstick in turn with them: a server that makes only the system calls nobody can leave out (connect, echo, fanout, mesh)")
	number(&o.Local, "local", 1, 1, 100, "how many `processes` of this machine make the load, at least")
	number(&o.Sizes.Connections, "connections", 15000, scenario.MinConnections, 100e6, "`connections`, where there are many")
	number(&o.Rounds, "rounds", 5, record.MinSamples, 1e6, "`rounds`, in which servers take turns; each makes one sample, of which a figure needs five")
	duration(&o.Sizes.Duration, "duration", 4*time.Second, "`length` of a phase")
	o.Sizes.Rate = 40000
	set.Var(within[float64]{&o.Sizes.Rate, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) }, 1, 1e9}, "rate", "`deliveries` a second while latencies are measured")
	number(&o.Sizes.Content, "content", 128, ledger.MinSize, 1<<30, "`bytes` of content, which has a number and a time")
	set.StringVar(&o.vary, "vary", "", "a curve, as `NAME=V1,V2,…`: connections, rate, content, or server.FLAG")
	set.BoolVar(&o.Sizes.Quick, "quick", false, "small sizes, three minutes: does everything work?")
	set.BoolVar(&o.json, "json", false, "print the record instead of a table")
	set.StringVar(&o.out, "out", "", "write the record to a new `file`")
	set.StringVar(&o.Remark, "remark", "", "a `text` for the record")
	duration(&o.timeout, "timeout", time.Hour, "end after so `long`, with what was found")
	if compare {
		return
	}
	set.StringVar(&o.server, "server", "./bin/wsify", "`path` of the server to measure")
	set.Func("against", "another server, in turn with it, as `NAME[@DIALECT]=COMMAND`; {addr} and {port} in it are replaced, without them -listen-addr is added; may be repeated", func(text string) error {
		_, err := scenario.ParseContender(text)
		o.against = append(o.against, text)
		return err
	})
	set.StringVar(&o.target, "target", "", "`URL` of a server that runs already, ws:// or wss://; its certificate is not verified")
	set.StringVar(&o.Key, "key", "", "`key` of POST /broadcast at the target")
	set.StringVar(&o.Metrics, "metrics", "", "`URL` of the target's metrics, for what it uses and counts itself")
	set.StringVar(&o.workers, "workers", "", "workers that make the load on a target, as `HOST:PORT,…`; without it processes of this machine do")
	set.StringVar(&o.ramp, "ramp", "", "grow `connections or rate` until -p99 is broken: what can this deployment hold?")
	duration(&o.p99, "p99", 100*time.Millisecond, "the p99 that a ramp may `reach`")
}

func (o *options) check(set *flag.FlagSet) error {
	o.given = map[string]bool{}
	set.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	for name, value := range map[string]string{"connections": "1000", "duration": "400ms", "rate": "10000"} {
		if o.Sizes.Quick && !o.given[name] {
			_ = set.Set(name, value)
		}
	}
	o.ServerArgs = strings.Fields(o.serverArgs)
	errs := []error{o.together(), o.scenarios(), o.contenders(), o.curve(), o.grown(), o.team()}
	if o.out != "" {
		errs = append(errs, record.Creatable(o.out))
	}
	return errors.Join(errs...)
}
