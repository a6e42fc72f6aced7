//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/record"
	"wsify/bench/internal/runner"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
)

// options is the command line of run and compare.
type options struct {
	run, server, serverArgs string
	against                 []string
	target, key, metrics    string
	workers                 string
	local                   int
	connections, rounds     int
	duration                time.Duration
	rate                    float64
	content                 int
	vary, ramp              string
	p99                     time.Duration
	quick, json, floor      bool
	out, remark             string
	timeout                 time.Duration

	given map[string]bool
}

func (o *options) register(set *flag.FlagSet) {
	set.StringVar(&o.run, "run", "", "`scenarios` to run, with commas between them; without it all that wsbench list does not except")
	set.StringVar(&o.server, "server", "./bin/wsify", "`path` of the server to measure")
	set.StringVar(&o.serverArgs, "server-args", "", "further `arguments` of it")
	set.Func("against", "another server, in turn with it, as `NAME[@DIALECT]=COMMAND`; {addr} and {port} in it are replaced, without them -listen-addr is added; may be repeated", func(text string) error {
		_, err := scenario.ParseContender(text)
		o.against = append(o.against, text)
		return err
	})
	set.BoolVar(&o.floor, "floor", false, "a yardstick in turn with them: a server that makes only the system calls nobody can leave out (connect, echo, fanout, mesh)")
	set.StringVar(&o.target, "target", "", "`URL` of a server that runs already, ws:// or wss://")
	set.StringVar(&o.key, "key", "", "`key` of POST /broadcast at the target")
	set.StringVar(&o.metrics, "metrics", "", "`URL` of the target's metrics, for what it uses and counts itself")
	set.StringVar(&o.workers, "workers", "", "workers that make the load, as `HOST:PORT,…`; without it processes of this machine do")
	set.IntVar(&o.local, "local", 1, "how many processes of this machine make the load, at least")
	set.IntVar(&o.connections, "connections", 15000, "connections, where there are many")
	set.IntVar(&o.rounds, "rounds", 5, "rounds, in which servers take turns; each makes one sample")
	set.DurationVar(&o.duration, "duration", 4*time.Second, "length of a phase")
	set.Float64Var(&o.rate, "rate", 40000, "deliveries a second while latencies are measured")
	set.IntVar(&o.content, "content", 128, "bytes of content")
	set.StringVar(&o.vary, "vary", "", "a curve, as `NAME=V1,V2,…`: connections, rate, content, or server.FLAG")
	set.StringVar(&o.ramp, "ramp", "", "grow `connections or rate` until -p99 is broken: what can this deployment hold?")
	set.DurationVar(&o.p99, "p99", 100*time.Millisecond, "the p99 that a ramp may reach")
	set.BoolVar(&o.quick, "quick", false, "small sizes, three minutes: does everything work?")
	set.BoolVar(&o.json, "json", false, "print the record instead of a table")
	set.StringVar(&o.out, "out", "", "write the record to a new `file`")
	set.StringVar(&o.remark, "remark", "", "a `text` for the record")
	set.DurationVar(&o.timeout, "timeout", time.Hour, "end after so long, with what was found")
}

// config checks the options and makes a run of them.
func (o *options) config(set *flag.FlagSet, log io.Writer) (cfg runner.Config, err error) {
	o.given = map[string]bool{}
	set.Visit(func(f *flag.Flag) { o.given[f.Name] = true })
	o.applyQuick()
	cfg = runner.Config{
		ServerArgs: strings.Fields(o.serverArgs), Key: o.key, Metrics: o.metrics, Local: o.local, Rounds: o.rounds, Remark: o.remark, Log: log,
		Sizes: scenario.Sizes{Connections: o.connections, Duration: o.duration, Rate: o.rate, Content: o.content, Quick: o.quick},
	}
	errs := o.numbers()
	var more error
	cfg.Scenarios, more = o.scenarios()
	errs = append(errs, more, o.contenders(&cfg), o.curve(&cfg))
	if o.workers != "" || o.given["workers"] {
		for addr := range strings.SplitSeq(o.workers, ",") {
			if _, _, err := net.SplitHostPort(addr); err != nil {
				errs = append(errs, fmt.Errorf("-workers: %q is not HOST:PORT", addr))
			}
			cfg.Workers = append(cfg.Workers, addr)
		}
	}
	if o.out != "" {
		if _, err := os.Lstat(o.out); err == nil {
			errs = append(errs, fmt.Errorf("-out %s: it exists, and records are added, never edited", o.out))
		}
	}
	return cfg, errors.Join(errs...)
}

// applyQuick sets what was not given.
func (o *options) applyQuick() {
	if !o.quick {
		return
	}
	if !o.given["connections"] {
		o.connections = 1000
	}
	if !o.given["duration"] {
		o.duration = 400 * time.Millisecond
	}
	if !o.given["rate"] {
		o.rate = 10000
	}
}

// numbers reports those that nothing can be measured with.
func (o *options) numbers() (errs []error) {
	for name, v := range map[string]float64{
		"connections": float64(o.connections), "rounds": float64(o.rounds), "duration": o.duration.Seconds(), "rate": o.rate,
		"local": float64(o.local), "p99": o.p99.Seconds(), "timeout": o.timeout.Seconds(),
	} {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("-%s: it has to be above zero", name))
		}
	}
	if o.content < ledger.MinSize {
		errs = append(errs, fmt.Errorf("-content %d: at least %d, for a number and a time", o.content, ledger.MinSize))
	}
	if o.connections < 100 && o.connections > 0 {
		errs = append(errs, fmt.Errorf("-connections %d: at least 100", o.connections))
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// scenarios finds those that are named.
func (o *options) scenarios() (found []*scenario.Scenario, err error) {
	if !o.given["run"] {
		for _, s := range scenario.All {
			if !s.Asked && (o.target == "" || !s.Own) {
				found = append(found, s)
			}
		}
		return found, nil
	}
	for name := range strings.SplitSeq(o.run, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(scenario.All, func(s *scenario.Scenario) bool { return s.Name == name })
		switch {
		case i < 0:
			err = errors.Join(err, fmt.Errorf("-run: there is no scenario %q; wsbench list names them", name))
		case o.target != "" && scenario.All[i].Own:
			err = errors.Join(err, fmt.Errorf("-run %s: it starts and stops the server itself, and cannot be run against a -target", name))
		default:
			found = append(found, scenario.All[i])
		}
	}
	return found, err
}

// contenders says what is measured.
func (o *options) contenders(cfg *runner.Config) error {
	if o.target != "" {
		u, err := url.Parse(o.target)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss":
			return fmt.Errorf("-target %s: it has to be like ws://host/ws or wss://host/ws", o.target)
		case len(o.against) > 0:
			return errors.New("-against: a -target is measured alone")
		}
		addr := u.Host
		if u.Port() == "" {
			addr = net.JoinHostPort(u.Hostname(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme])
		}
		cfg.Target = &swarm.Target{Addr: addr, Host: u.Host, Path: u.RequestURI(), TLS: u.Scheme == "wss"}
		return nil
	}
	for _, name := range []string{"key", "metrics"} {
		if o.given[name] {
			return fmt.Errorf("-%s: it is for a -target", name)
		}
	}
	if _, err := os.Stat(o.server); err != nil {
		return fmt.Errorf("-server %s: it is not there; make build builds bin/wsify", o.server)
	}
	cfg.Contenders = []scenario.Contender{{Name: "wsify", Command: []string{o.server}}}
	for _, text := range o.against {
		c, err := scenario.ParseContender(text)
		if err != nil {
			return err
		}
		cfg.Contenders = append(cfg.Contenders, c)
	}
	if o.floor {
		cfg.Contenders = append(cfg.Contenders, scenario.Contender{Name: record.Floor, Command: []string{os.Args[0], "floor", "{addr}"}})
	}
	return nil
}

// curve checks -vary and -ramp.
func (o *options) curve(cfg *runner.Config) error {
	if o.ramp != "" {
		switch {
		case o.ramp != "connections" && o.ramp != "rate":
			return fmt.Errorf("-ramp %s: it is connections or rate", o.ramp)
		case len(cfg.Scenarios) != 1:
			return errors.New("-ramp: name one scenario with -run, such as fanout")
		case o.vary != "":
			return errors.New("-ramp and -vary: one of them")
		}
	}
	if o.vary == "" {
		return nil
	}
	name, values, _ := strings.Cut(o.vary, "=")
	cfg.Vary, cfg.Values = name, strings.Split(values, ",")
	known := slices.Contains([]string{"connections", "rate", "content"}, name) || strings.HasPrefix(name, "server.")
	if !known || slices.Contains(cfg.Values, "") {
		return fmt.Errorf("-vary %s: it has to be like content=64,1024, and vary connections, rate, content, or server.FLAG", o.vary)
	}
	return nil
}
