package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
	"wsify/bench/internal/worker"
)

// entrant is one server with one value of what is varied.
type entrant struct {
	name   string
	x      *float64
	env    *scenario.Env
	local  worker.Team
	server *scenario.Server
	gone   bool // it failed
}

// entrants starts the servers, and sets the scenario up on each.
func (r *Runner) entrants(s *scenario.Scenario) (all []*entrant) {
	values := r.Values
	if r.Vary == "" {
		values = []Value{{}}
	}
	for _, value := range values {
		for i := range max(len(r.Contenders), 1) {
			if len(r.Contenders) > 0 && r.Contenders[i].Name == record.Floor && !slices.Contains(floorHas, s.Name) {
				continue
			}
			e, err := r.enter(s, i, value)
			if err == nil && s.Setup != nil && !s.Fresh {
				err = s.Setup(e.env)
			}
			if err != nil {
				r.fail(s.Name, e.name, err)
				r.leave(e)
				continue
			}
			all = append(all, e)
		}
	}
	return all
}

// floorHas are the scenarios that the floor can do.
var floorHas = []string{"connect", "echo", "fanout", "mesh"}

// enter makes an entrant of contender i, which runs.
func (r *Runner) enter(s *scenario.Scenario, i int, value Value) (*entrant, error) {
	e := &entrant{name: targetName, env: &scenario.Env{Sizes: r.Sizes, Team: r.remote, Key: r.Key, Ctx: r.ctx, Log: r.Log}}
	e.env.Noted = func(text string) { r.note(s.Name, e.name, text) }
	args := r.vary(e, value)
	var err error
	if r.Target != nil {
		e.env.Target, e.env.CPU = *r.Target, r.fromMetrics
	} else {
		c := r.Contenders[i]
		e.name = c.Name
		if c.IsWsify() {
			args = append(slices.Clone(s.Args), args...)
			if i == 0 {
				args = append(args, r.ServerArgs...)
			}
		}
		if e.server, err = c.Start(r.ctx, args...); err != nil {
			return e, err
		}
		e.env.Server = e.server
		e.env.Target = swarm.Target{Addr: e.server.Addr, Host: e.server.Addr, Dialect: c.Dialect}
		e.env.CPU = func() (time.Duration, error) { return process.CPU(e.server.Pid()) }
	}
	if len(r.remote) == 0 {
		e.local, err = r.hire(e.env.Connections, s.Noise)
		e.env.Team = e.local
	}
	if e.env.Noise = e.env.Team; s.Noise && len(e.env.Team) > 1 {
		last := len(e.env.Team) - 1
		e.env.Team, e.env.Noise = e.env.Team[:last], e.env.Team[last:]
	}
	if room := e.env.Team.Room() - 1000; err == nil && room < e.env.Connections {
		limits := fmt.Sprintf("the workers hold %d connections at most (ulimit -n)", max(room, 0))
		if room < scenario.MinConnections || r.Vary == "connections" { // a figure would stand at a number that it was not measured at
			return e, errors.New(limits)
		}
		e.env.Connections = room
		r.note(s.Name, "", limits)
	}
	return e, err
}

// hire starts as many local workers as the connections need.
func (r *Runner) hire(connections int, noise bool) (t worker.Team, err error) {
	for len(t) == 0 || noise && len(t) < 2 || len(t) < r.Local || t.Room() < connections+1000 && len(t) < 100 {
		w, err := worker.Start(r.ctx)
		if err != nil {
			return t, err
		}
		t = append(t, w)
	}
	return t, nil
}

func (r *Runner) leave(e *entrant) {
	e.gone = true
	for _, w := range e.local {
		w.Close()
	}
	if e.local == nil {
		_ = r.remote.Shut("", false)
	}
	e.local = nil
	if e.server != nil && e.server.Child != nil {
		e.server.Kill()
	}
}

// vary applies a value; args are those of the server.
func (r *Runner) vary(e *entrant, value Value) (args []string) {
	if r.Vary == "" {
		return nil
	}
	e.x = &value.X
	switch flag, ok := strings.CutPrefix(r.Vary, "server."); {
	case ok:
		return []string{"-" + flag, value.Text}
	case r.Vary == "connections":
		e.env.Connections = int(value.X)
	case r.Vary == "rate":
		e.env.Rate = value.X
	case r.Vary == "content":
		e.env.Content = int(value.X)
	}
	return nil
}
