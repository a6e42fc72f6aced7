//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Names of figures' servers that are no contender's.
const (
	floorName = "floor" // bare system calls
	treeName  = "wsify" // what -server names
)

// contender is a server that takes part in a run. Contenders take turns in every
// round, so that what the machine did meanwhile hits all of them.
type contender struct {
	name    string
	command []string // with {addr} and {port} to be replaced
	dialect *dialect
}

// parseContender reads NAME[@DIALECT]=COMMAND.
func parseContender(text string) (contender, error) {
	name, command, ok := strings.Cut(text, "=")
	name, speaks, _ := strings.Cut(name, "@")
	c := contender{name: name, command: strings.Fields(command)}
	if !ok || name == "" || len(c.command) == 0 {
		return c, fmt.Errorf("%q: want NAME[@DIALECT]=COMMAND", text)
	}
	if name == floorName {
		return c, fmt.Errorf("%q: the name %s is taken by the bare system calls", text, floorName)
	}
	if c.dialect = dialectOf(speaks); c.dialect == nil {
		return c, fmt.Errorf("%q: no dialect %q; there are %s", text, speaks, dialectNames())
	}
	return c, nil
}

// line is the command for a port. A command that does not say where the address
// goes is given -listen-addr.
func (c contender) line(port int, extra ...string) []string {
	addr := "127.0.0.1:" + strconv.Itoa(port)
	var line []string
	said := false
	for _, arg := range c.command {
		with := strings.NewReplacer("{addr}", addr, "{port}", strconv.Itoa(port)).Replace(arg)
		said = said || with != arg
		line = append(line, with)
	}
	if !said {
		line = append(line[:1:1], append([]string{"-listen-addr", addr}, line[1:]...)...)
	}
	return append(line, extra...)
}

// enlist returns who takes part: first what -server names, then every -against.
func (o *options) enlist() ([]contender, error) {
	tree := contender{name: o.name, command: append([]string{o.server}, strings.Fields(o.serverArgs)...), dialect: dialectOf("")}
	all, errs := []contender{tree}, []error{}
	for _, text := range o.against {
		c, err := parseContender(text)
		errs = append(errs, err)
		all = append(all, c)
	}
	seen := make(map[string]bool)
	for _, c := range all {
		if seen[c.name] {
			errs = append(errs, fmt.Errorf("two servers are named %q", c.name))
		}
		seen[c.name] = true
	}
	return all, errors.Join(errs...)
}

// tree is the server the run is about, which scenarios that nobody else can run
// are for.
func (b *bench) tree() contender { return b.contenders[0] }

// turns returns the contenders in the order of a round: every other round goes
// backwards, so that none always comes first.
func (b *bench) turns(round int) []contender {
	order := append([]contender(nil), b.contenders...)
	if round%2 == 1 {
		for i, j := 0, len(order)-1; i < j; i, j = i+1, j-1 {
			order[i], order[j] = order[j], order[i]
		}
	}
	return order
}
