// Package runner runs scenarios on servers in turn, round by round, and makes a record.
package runner

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/scenario"
	"wsify/bench/internal/swarm"
	"wsify/bench/internal/worker"
)

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
	Values     []Value
	Compare    bool // the first against the second
	Remark     string
	Log        io.Writer
}

// Value is one of what is varied: as a server's flag takes it, and on an axis.
type Value struct {
	Text string
	X    float64
}

// worse is the ratio to the base above which a cost is worse.
const worse = 1.05

type Runner struct {
	Config
	ctx    context.Context
	end    context.CancelCauseFunc // ends the run, and what it has started
	remote worker.Team
	rec    *record.Record
	shares process.Shares
	began  time.Time
}

// Run runs everything until ctx ends. What was found so far is returned also then.
func Run(ctx context.Context, cfg Config) (*record.Record, error) {
	r, err := begin(ctx, cfg)
	defer r.end(nil)
	if err != nil {
		return nil, err
	}
	for _, s := range cfg.Scenarios {
		if r.ctx.Err() == nil {
			fmt.Fprintf(cfg.Log, "%s …\n", s.Name)
			r.scenario(s)
		}
	}
	return r.finish(), nil
}

// begin meets the workers. What the run has started ends with ctx, and by end, also after an error.
func begin(ctx context.Context, cfg Config) (*Runner, error) {
	r := &Runner{Config: cfg, began: time.Now(), shares: process.ReadShares()}
	r.ctx, r.end = context.WithCancelCause(ctx)
	r.rec = &record.Record{
		Version: record.Version, Date: time.Now().UTC().Truncate(time.Second), Command: os.Args, Commit: commit(), Remark: cfg.Remark, Quick: cfg.Sizes.Quick,
		Machine: process.Machine(), Vary: cfg.Vary, Figures: []record.Figure{},
	}
	for _, addr := range cfg.Workers {
		w, err := worker.Dial(r.ctx, addr, r.end)
		if err != nil {
			return r, r.because(err)
		}
		r.remote = append(r.remote, w)
		r.rec.Workers = append(r.rec.Workers, w.Machine)
	}
	for _, c := range cfg.Contenders {
		r.rec.Servers = append(r.rec.Servers, record.Server{Name: c.Name, Command: c.Command})
	}
	if cfg.Target != nil {
		r.rec.Servers = []record.Server{{Name: targetName, Target: cfg.Target.Addr + cfg.Target.Path}}
		if err := r.knock(); err != nil {
			return r, r.because(err)
		}
	}
	return r, nil
}

func (r *Runner) knock() error {
	e, err := r.enter(scenario.Knock, 0, Value{})
	defer r.leave(e)
	if err == nil {
		err = scenario.Knock.Setup(e.env)
	}
	if err != nil {
		return fmt.Errorf("the target at %s: %w; is its URL right? wsify has the port 3000 and the path /ws, and wss:// is TLS", r.Target.Addr, err)
	}
	return nil
}

// because is err, unless the run has ended early, which explains all errors that follow.
func (r *Runner) because(err error) error {
	if cause := context.Cause(r.ctx); cause != nil {
		return fmt.Errorf("interrupted: %w", cause)
	}
	return err
}

const targetName = "target"

// finish judges what was found.
func (r *Runner) finish() *record.Record {
	if r.rec.Interrupted = r.ctx.Err() != nil; r.rec.Interrupted {
		r.rec.Failures = append(r.rec.Failures, r.because(nil).Error())
	}
	now := process.ReadShares()
	if all := now.All - r.shares.All; all > 0 {
		r.rec.Machine.Steal = (now.Steal - r.shares.Steal) / all
	}
	r.rec.Seconds = time.Since(r.began).Seconds()
	r.rec.Judge()
	return r.rec
}

// fail notes why something could not be measured. The end of the run is a reason that finish notes, once.
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

// scenario runs all rounds of one scenario.
func (r *Runner) scenario(s *scenario.Scenario) {
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
				if err = fmt.Errorf("round %d: %w", round+1, err); e.server != nil && e.server.Said() != "" {
					err = fmt.Errorf("%w; the server said: %s", err, e.server.Said())
				}
				r.fail(s.Name, e.name, err)
				r.leave(e)
			}
		}
	}
}

// tries is how often a round is tried that turns out void.
const tries = 3

// round runs one round on one entrant and takes its samples.
func (r *Runner) round(s *scenario.Scenario, e *entrant) error {
	for try := 1; ; try++ {
		if s.Fresh && try+len(r.rec.Figures) > 0 && e.server != nil {
			e.server.Kill()
			_ = e.env.Team.Shut("", false)
			if err := e.server.Restart(r.ctx); err != nil {
				return err
			}
		}
		if err := s.Round(e.env); err != nil {
			return err
		}
		samples, void := e.env.Take()
		if void == "" {
			for _, x := range samples {
				r.take(s, e, x)
			}
			return nil
		}
		r.note(s.Name, e.name, "a round was void: "+void)
		if try == tries { // without its sample, later rounds would be paired with others
			return fmt.Errorf("void %d times: %s", tries, void)
		}
	}
}

func (r *Runner) take(s *scenario.Scenario, e *entrant, x scenario.Sample) {
	at := e.x
	if x.Along != "" {
		at = &x.X
	}
	f := r.rec.Find(s.Name, x.Name, e.name, at)
	if f == nil {
		r.rec.Figures = append(r.rec.Figures, record.Figure{Scenario: s.Name, Name: x.Name, Server: e.name, X: at, Along: x.Along, Unit: x.Unit, Better: x.Better, Cost: x.Cost, Goal: r.goal(s, e, x)})
		f = &r.rec.Figures[len(r.rec.Figures)-1]
	}
	f.Samples = append(f.Samples, x.Value)
}

// goal is what a figure is held against, if anything.
func (r *Runner) goal(s *scenario.Scenario, e *entrant, x scenario.Sample) *record.Goal {
	switch limit, ok := s.Limits[x.Name]; {
	case r.Compare && x.Cost && e.name == r.Contenders[0].Name:
		base := r.Contenders[1].Name
		return &record.Goal{Text: fmt.Sprintf("at most %.2f of %s", worse, base), Max: worse, Of: base}
	case ok && e.name != targetName && !r.Compare && e.name == r.Contenders[0].Name:
		return &record.Goal{Text: fmt.Sprintf("at most %v %s", limit, x.Unit), Max: limit}
	}
	return nil
}

// commit is that of the directory, with a plus when tracked files are changed; empty outside a repository.
func commit() string {
	name, _ := exec.Command("git", "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+").Output()
	return strings.TrimSpace(string(name))
}
