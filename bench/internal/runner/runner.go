//go:build linux

// Package runner runs scenarios on servers in turn, round by round, and makes a record.
package runner

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
	"wsify/bench/internal/worker"
)

// Config is what a run is told.
type Config struct {
	Scenarios  []*scenario.Scenario
	Contenders []scenario.Contender // servers to start; none with a Target
	ServerArgs []string             // of the first
	Target     *swarm.Target
	Key        string
	Metrics    string   // URL
	Workers    []string // addresses; none: local ones
	Local      int      // how many local workers
	Rounds     int
	Sizes      scenario.Sizes
	Vary       string // what is varied: connections, rate, content, or server.FLAG
	Values     []string
	Compare    bool // the first against the second
	Remark     string
	Log        io.Writer
}

// worse is the ratio to the base above which a cost is worse.
const worse = 1.05

// Runner is a run.
type Runner struct {
	Config
	ctx    context.Context
	family process.Family
	remote worker.Team
	rec    *record.Record
	shares process.Shares
	began  time.Time
}

// Run runs everything until ctx ends. What was found so far is returned also then.
func Run(ctx context.Context, cfg Config) (*record.Record, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	r := &Runner{Config: cfg, ctx: ctx, began: time.Now(), shares: process.ReadShares()}
	defer context.AfterFunc(ctx, r.family.KillAll)()
	defer r.family.KillAll()
	r.rec = &record.Record{
		Version: record.Version, Date: time.Now().UTC().Truncate(time.Second), Command: os.Args, Commit: commit(), Remark: cfg.Remark, Quick: cfg.Sizes.Quick,
		Machine: process.Machine(), Vary: cfg.Vary, Figures: []record.Figure{},
	}
	for _, addr := range cfg.Workers {
		w, err := worker.Dial(ctx, addr, end)
		if err != nil {
			return nil, cmp.Or(context.Cause(ctx), err)
		}
		defer w.Close()
		r.remote = append(r.remote, w)
		r.rec.Workers = append(r.rec.Workers, w.Machine)
	}
	for _, c := range cfg.Contenders {
		r.rec.Servers = append(r.rec.Servers, record.Server{Name: c.Name, Command: c.Command})
	}
	if cfg.Target != nil {
		r.rec.Servers = []record.Server{{Name: targetName, Target: cfg.Target.Addr + cfg.Target.Path}}
	}
	for _, s := range cfg.Scenarios {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(cfg.Log, "%s …\n", s.Name)
		r.scenario(s)
	}
	if ctx.Err() != nil {
		r.rec.Failures = append(r.rec.Failures, fmt.Sprintf("interrupted: %v", context.Cause(ctx)))
	}
	r.finish()
	return r.rec, nil
}

const targetName = "target"

// finish judges what was found.
func (r *Runner) finish() {
	now := process.ReadShares()
	if all := now.All - r.shares.All; all > 0 {
		r.rec.Machine.Steal = (now.Steal - r.shares.Steal) / all
	}
	r.rec.Seconds = time.Since(r.began).Seconds()
	r.rec.Judge()
}

// fail notes why something could not be measured. The end of the run is one reason for all that follows it, and Run notes
// that.
func (r *Runner) fail(scenario, server string, err error) {
	if r.ctx.Err() == nil {
		r.rec.Failures = append(r.rec.Failures, strings.TrimSpace(scenario+" "+server)+": "+err.Error())
	}
}

func (r *Runner) note(scenario, server, text string) {
	n := record.Note{Scenario: scenario, Server: server, Text: text}
	if !slices.Contains(r.rec.Notes, n) {
		r.rec.Notes = append(r.rec.Notes, n)
	}
}

// entrant is one server with one value of what is varied.
type entrant struct {
	name   string
	x      *float64
	env    *scenario.Env
	local  worker.Team
	server *scenario.Server
	gone   bool // it failed
}

// scenario runs all rounds of one scenario.
func (r *Runner) scenario(s *scenario.Scenario) {
	if s.Own && r.Target != nil {
		r.note(s.Name, "", "not run: it starts and stops the server itself")
		return
	}
	all := r.entrants(s)
	defer func() {
		for _, e := range all {
			r.leave(e)
		}
	}()
	for round := range r.Rounds {
		turn := slices.Clone(all)
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, e := range turn {
			if e.gone || r.ctx.Err() != nil {
				continue
			}
			if err := r.round(s, e); err != nil {
				r.fail(s.Name, e.name, fmt.Errorf("round %d: %w%s", round+1, err, said(e)))
				r.leave(e)
			}
		}
	}
}

func said(e *entrant) string {
	if e.server == nil || e.server.Said() == "" {
		return ""
	}
	return "; the server said: " + e.server.Said()
}

// entrants starts the servers, and sets the scenario up on each.
func (r *Runner) entrants(s *scenario.Scenario) (all []*entrant) {
	values := r.Values
	if r.Vary == "" {
		values = []string{""}
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
func (r *Runner) enter(s *scenario.Scenario, i int, value string) (*entrant, error) {
	e := &entrant{name: targetName, env: &scenario.Env{Sizes: r.Sizes, Team: r.remote, Key: r.Key, Family: &r.family}}
	e.env.Noted = func(text string) { r.note(s.Name, e.name, text) }
	args, err := r.vary(e, value)
	if err != nil {
		return e, err
	}
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
		if e.server, err = c.Start(&r.family, args...); err != nil {
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
	if err == nil && e.env.Team.Room() < e.env.Connections+1000 {
		e.env.Connections = e.env.Team.Room() - 1000
		r.note(s.Name, "", fmt.Sprintf("the workers hold %d connections at most", e.env.Connections))
	}
	return e, err
}

// hire starts as many local workers as the connections need.
func (r *Runner) hire(connections int, noise bool) (t worker.Team, err error) {
	for len(t) == 0 || noise && len(t) < 2 || len(t) < r.Local || t.Room() < connections+1000 && len(t) < 100 {
		w, err := worker.Start(&r.family)
		if err != nil {
			return t, err
		}
		t = append(t, w)
	}
	return t, nil
}

// leave ends an entrant.
func (r *Runner) leave(e *entrant) {
	e.gone = true
	for _, w := range e.local {
		w.Close()
	}
	for _, group := range []string{"members", "publishers", "probes", "posts", "talkers", "fresh"} {
		if e.local == nil && len(e.env.Team) > 0 {
			_ = e.env.Team.Shut(group, false)
		}
	}
	e.local = nil
	if e.server != nil && e.server.Child != nil {
		e.server.Kill()
	}
}

// vary applies a value; args are those of the server.
func (r *Runner) vary(e *entrant, value string) (args []string, err error) {
	if r.Vary == "" {
		return nil, nil
	}
	x, err := strconv.ParseFloat(strings.TrimRight(value, "kKmMiIbBsS"), 64)
	if err != nil {
		return nil, fmt.Errorf("-vary %s: %q is no number", r.Vary, value)
	}
	e.x = &x
	switch flag, ok := strings.CutPrefix(r.Vary, "server."); {
	case ok:
		return []string{"-" + flag, value}, nil
	case r.Vary == "connections":
		e.env.Connections = int(x)
	case r.Vary == "rate":
		e.env.Rate = x
	case r.Vary == "content":
		e.env.Content = int(x)
	}
	return nil, nil
}

// tries is how often a round is tried that turns out void.
const tries = 3

// round runs one round on one entrant and takes its samples.
func (r *Runner) round(s *scenario.Scenario, e *entrant) error {
	for try := 1; ; try++ {
		if s.Fresh && try+len(r.rec.Figures) > 0 && e.server != nil {
			e.server.Kill()
			for _, group := range []string{"members", "publishers"} {
				_ = e.env.Team.Shut(group, false)
			}
			if err := e.server.Restart(&r.family); err != nil {
				return err
			}
		}
		if err := s.Round(e.env); err != nil {
			return err
		}
		void := e.env.Take(func(name, unit, better string, cost bool, v float64) { r.take(s, e, name, unit, better, cost, v) })
		if void == "" {
			return nil
		}
		r.note(s.Name, e.name, "a round was void: "+void)
		if try == tries { // without its sample, later rounds would be paired with others
			return fmt.Errorf("void %d times: %s", tries, void)
		}
	}
}

// take adds a sample to its figure.
func (r *Runner) take(s *scenario.Scenario, e *entrant, name, unit, better string, cost bool, v float64) {
	f := r.rec.Find(s.Name, name, e.name, e.x)
	if f == nil {
		r.rec.Figures = append(r.rec.Figures, record.Figure{Scenario: s.Name, Name: name, Server: e.name, X: e.x, Unit: unit, Better: better, Cost: cost, Goal: r.goal(s, e, name, unit, cost)})
		f = &r.rec.Figures[len(r.rec.Figures)-1]
	}
	f.Samples = append(f.Samples, v)
}

// goal is what a figure is held against, if anything.
func (r *Runner) goal(s *scenario.Scenario, e *entrant, name, unit string, cost bool) *record.Goal {
	switch limit, ok := s.Limits[name]; {
	case r.Compare && cost && e.name == r.Contenders[0].Name:
		base := r.Contenders[1].Name
		return &record.Goal{Text: fmt.Sprintf("at most %.2f of %s", worse, base), Max: worse, Of: base}
	case ok && e.name != targetName && !r.Compare && e.name == r.Contenders[0].Name:
		return &record.Goal{Text: fmt.Sprintf("at most %v %s", limit, unit), Max: limit}
	}
	return nil
}

// commit is that of the directory, with a plus when tracked files are changed.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	name := strings.TrimSpace(string(out))
	if exec.Command("git", "diff", "--quiet", "HEAD").Run() != nil {
		name += "+"
	}
	return name
}
