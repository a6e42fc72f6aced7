package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/record"
	"wsify/bench/internal/runner"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
)

// together reports a flag that says nothing beside another one, or without it.
func (o *options) together() error {
	for _, rule := range []struct {
		holds      bool
		names, why string
	}{
		{o.target != "", "server server-args floor against", "a -target is measured alone, and runs already"},
		{o.target == "", "key metrics", "it is for a -target"},
		{o.target == "", "workers", "it is for a -target: servers that wsbench starts listen on 127.0.0.1, where other machines do not reach them"},
		{o.workers != "", "local", "with -workers no process of this machine makes load"},
		{o.ramp == "", "p99", "it is for -ramp"},
		{o.ramp != "", "vary", "-ramp varies connections or rate itself"},
		{o.ramp != "", "rounds", "-ramp takes five rounds for each step"},
	} {
		for name := range strings.FieldsSeq(rule.names) {
			if rule.holds && o.given[name] {
				return fmt.Errorf("-%s: %s", name, rule.why)
			}
		}
	}
	return nil
}

func unique(flag string, names []string) error {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s: %q is named twice", flag, name)
		}
	}
	return nil
}

// checkAddr reports what is no HOST:PORT.
func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || host == "" || n < 1 || n > 65535 {
		return fmt.Errorf("%q is not HOST:PORT, with a port from 1 to 65535", addr)
	}
	return nil
}

func (o *options) team() error {
	if o.workers == "" {
		return nil
	}
	o.Workers = strings.Split(o.workers, ",")
	for _, addr := range o.Workers {
		if err := checkAddr(addr); err != nil {
			return fmt.Errorf("-workers: %w", err)
		}
	}
	return unique("-workers", o.Workers)
}

// scenarios finds those that are named, or that suit.
func (o *options) scenarios() error {
	var names []string
	if o.given["run"] {
		names = strings.Split(strings.ReplaceAll(o.run, " ", ""), ",")
	}
	for _, s := range scenario.All {
		if !o.given["run"] && !s.Asked && (o.target == "" || !s.Own) {
			o.Scenarios = append(o.Scenarios, s)
		}
	}
	for _, name := range names {
		i := slices.IndexFunc(scenario.All, func(s *scenario.Scenario) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("-run: there is no scenario %q; wsbench list names them", name)
		}
		if o.target != "" && scenario.All[i].Own {
			return fmt.Errorf("-run %s: it starts and stops the server itself, and cannot be run against a -target", name)
		}
		o.Scenarios = append(o.Scenarios, scenario.All[i])
	}
	return unique("-run", names)
}

// contenders finds what is measured: a target, or those that are set already, or wsify; and others.
func (o *options) contenders() (err error) {
	if o.target != "" {
		o.Target, err = targetOf(o.target)
		return err
	}
	if o.Contenders == nil {
		o.Contenders = []scenario.Contender{{Name: "wsify", Command: []string{o.server}}}
	}
	for _, text := range o.against {
		c, _ := scenario.ParseContender(text) // it was checked when it was given
		o.Contenders = append(o.Contenders, c)
	}
	if o.floor {
		o.Contenders = append(o.Contenders, scenario.Contender{Name: record.Floor, Command: []string{os.Args[0], "floor", "{addr}"}})
	}
	var names []string
	for _, c := range o.Contenders {
		names = append(names, c.Name)
		if _, err := exec.LookPath(c.Command[0]); err != nil {
			return fmt.Errorf("the server %q is no program that can be run: %w; make build builds bin/wsify, compare takes two builds of it", c.Name, err)
		}
	}
	if len(o.ServerArgs) > 0 {
		if err := o.Contenders[0].Takes(o.ServerArgs...); err != nil {
			return fmt.Errorf("-server-args: %w", err)
		}
	}
	return unique("-against", names)
}

// targetOf reads the URL of a target.
func targetOf(text string) (*swarm.Target, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, fmt.Errorf("-target %s: it has to be like ws://host/ws or wss://host/ws", text)
	}
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), map[string]string{"ws": "80", "wss": "443"}[u.Scheme])
	}
	if err := checkAddr(addr); err != nil {
		return nil, fmt.Errorf("-target %s: %w", text, err)
	}
	return &swarm.Target{Addr: addr, Host: u.Host, Path: u.RequestURI(), TLS: u.Scheme == "wss"}, nil
}

func (o *options) curve() error {
	if o.vary == "" {
		return nil
	}
	name, values, _ := strings.Cut(o.vary, "=")
	setting, ofServer := strings.CutPrefix(name, "server.")
	texts := strings.Split(values, ",")
	if !ofServer && !slices.Contains([]string{"connections", "rate", "content"}, name) || slices.Contains(texts, "") || setting == "" {
		return fmt.Errorf("-vary %s: it has to be like content=64,1024, and vary connections, rate, content, or server.FLAG", o.vary)
	}
	if ofServer && o.target != "" {
		return fmt.Errorf("-vary %s: it starts servers with this setting, and a -target runs already", name)
	}
	o.Vary = name
	for _, text := range texts {
		x, err := value(name, text)
		for _, c := range o.Contenders {
			if ofServer && err == nil && c.IsWsify() {
				err = c.Takes("-"+setting, text)
			}
		}
		if err != nil {
			return fmt.Errorf("-vary %s=%s: %w", name, text, err)
		}
		o.Values = append(o.Values, runner.Value{Text: text, X: x})
	}
	return unique("-vary", texts)
}

// value is the number that a value of what is varied has on an axis. It is checked as the flag is that it stands for.
func value(name, text string) (x float64, err error) {
	if !strings.HasPrefix(name, "server.") {
		set := flag.NewFlagSet("", flag.ContinueOnError)
		new(options).register(set, true)
		if err = set.Set(name, text); err == nil {
			text = set.Lookup(name).Value.String()
		}
	}
	if err == nil {
		x, err = numberOf(text)
	}
	return x, err
}

// units are those of sizes.
var units = map[string]float64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 1e3, "MB": 1e6, "GB": 1e9}

// numberOf reads a number, a duration in seconds, or a size in bytes.
func numberOf(text string) (float64, error) {
	if x, err := strconv.ParseFloat(text, 64); err == nil && x-x == 0 { // neither NaN nor infinite
		return x, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return d.Seconds(), nil
	}
	for unit, of := range units {
		if n, ok := strings.CutSuffix(text, unit); ok {
			x, err := strconv.ParseFloat(n, 64)
			return x * of, err
		}
	}
	return 0, errors.New("it is no number, duration or size, and has no place on an axis")
}

func (o *options) grown() error {
	switch {
	case o.ramp == "":
		return nil
	case o.ramp != "connections" && o.ramp != "rate":
		return fmt.Errorf("-ramp %s: it is connections or rate", o.ramp)
	case !o.given["run"] || len(o.Scenarios) != 1:
		return errors.New("-ramp: name one scenario with -run, such as fanout")
	case !strings.Contains(o.Scenarios[0].Ramps, o.ramp):
		return fmt.Errorf("-ramp %s: %s has no p99 that depends on it; fanout and mesh have", o.ramp, o.Scenarios[0].Name)
	}
	return nil
}
