package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"sync"
	"time"

	"wsify/bench/internal/ledger"
	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

type Worker struct {
	name    string
	rpc     *rpc.Client
	child   *process.Child      // nil for one on another machine
	Pid     int                 // 0 for one on another machine
	lost    func(because error) // called when one on another machine has gone
	Machine record.Machine
	Offset  time.Duration // its clock is so far ahead of ours, by the quickest of ten exchanges
	Room    int           // connections it can hold
}

// meetPatience is how long a worker on another machine may take to answer at the start.
const meetPatience = 5 * time.Second

// keepAlive finds out in 20 s that the machine at the other end has gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3}

// Dial connects to a worker that waits on addr, until ctx ends. lost is called when the worker goes before.
func Dial(ctx context.Context, addr string, lost func(because error)) (*Worker, error) {
	dialer := net.Dialer{Timeout: meetPatience, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("worker %s: %w", addr, err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(meetPatience))
	w := &Worker{name: "worker " + addr, rpc: rpc.NewClient(conn), lost: func(error) {}}
	if err = w.meet(); err == nil {
		w.lost = lost
		return w, conn.SetDeadline(time.Time{})
	}
	_ = conn.Close()
	if _, said := errors.AsType[rpc.ServerError](err); said {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	return nil, fmt.Errorf("%s is no wsbench worker: it gave no answer that makes sense within %v (%w)", addr, meetPatience, err)
}

// Pipes is standard input and output as one.
type Pipes struct {
	io.Reader
	io.WriteCloser
}

// Start starts a worker on this machine: the program that calls it, with the argument worker.
func Start(ctx context.Context) (*Worker, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, "worker")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	child, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	w := &Worker{name: "a worker of this machine", rpc: rpc.NewClient(Pipes{out, in}), Pid: child.Pid(), child: child}
	return w, w.meet()
}

func (w *Worker) meet() error {
	err := w.call("Worker.Hello", swarm.None{}, &w.Machine)
	w.Room = int(w.Machine.FileLimit) - 200
	best := time.Duration(1 << 62)
	for i := 0; i < 10 && err == nil; i++ {
		var theirs int64
		before := time.Now()
		err = w.call("Worker.Clock", swarm.None{}, &theirs)
		if took := time.Since(before); took < best {
			best, w.Offset = took, time.Duration(theirs-before.Add(took/2).UnixNano())
		}
	}
	return err
}

// call calls a method. What the worker itself says is returned as it is; other errors mean that it has gone.
func (w *Worker) call(method string, in, out any) error {
	err := w.rpc.Call(method, in, out)
	if _, said := errors.AsType[rpc.ServerError](err); said || err == nil {
		return err
	}
	err = fmt.Errorf("%s has gone: %w", w.name, err)
	if w.child != nil {
		return fmt.Errorf("%w; it said: %s", err, w.child.Said())
	}
	w.lost(err)
	return err
}

// Close ends the connection, and with it all of the worker's; a local one is gone then.
func (w *Worker) Close() {
	_ = w.rpc.Close()
	if w.child != nil {
		w.child.Kill()
	}
}

// Team is all workers of a run, which share each group among them.
type Team []*Worker

// each calls one method of all workers at once.
func each[T any](t Team, method string, in func(i int) any) ([]T, error) {
	out, errs := make([]T, len(t)), make([]error, len(t))
	var all sync.WaitGroup
	for i, w := range t {
		all.Go(func() { errs[i] = w.call(method, in(i), &out[i]) })
	}
	all.Wait()
	return out, cmp.Or(errs...)
}

// share is how many of n are for worker i, by the room that each has.
func (t Team) share(n, i int) (first, count int) {
	room := t[:i].Room()
	first = n * room / t.Room()
	return first, n*(room+t[i].Room)/t.Room() - first
}

func (t Team) Open(p swarm.Plan) (swarm.Opened, error) {
	all, err := each[swarm.Opened](t, "Swarm.Open", func(i int) any {
		q := p
		first, n := t.share(p.N, i)
		q.N, q.First, q.Rate = n, p.First+first, p.Rate*float64(n)/float64(max(p.N, 1))
		if p.Window > 0 {
			q.Window = max(1, p.Window*n/max(p.N, 1))
		}
		return q
	})
	var sum swarm.Opened
	latency := ledger.NewHistogram()
	for _, o := range all {
		sum.Open, sum.Failed, sum.Retries = sum.Open+o.Open, sum.Failed+o.Failed, sum.Retries+o.Retries
		sum.Seconds = max(sum.Seconds, o.Seconds)
		if sum.Error == "" {
			sum.Error = o.Error
		}
		o.Latency.Merge(latency)
	}
	sum.Latency = swarm.Latency{Snapshot: latency.Export()}
	return sum, err
}

// tell calls a method that only takes arguments.
func (t Team) tell(method string, a swarm.Args) error {
	_, err := each[swarm.None](t, method, func(int) any { return a })
	return err
}

func (t Team) Shut(group string, reset bool) error {
	return t.tell("Swarm.Shut", swarm.Args{Group: group, Flag: reset})
}

// Talk makes load with a group, shared among the workers that have a part of it.
func (t Team) Talk(k swarm.Talk, members int) (swarm.Heard, error) {
	all, err := each[swarm.Heard](t, "Swarm.Talk", func(i int) any {
		q := k
		_, n := t.share(members, i)
		q.Rate = k.Rate * float64(n) / float64(members)
		if k.Conns > 0 {
			_, q.Conns = t.share(k.Conns, i)
		}
		if n == 0 || k.Conns > 0 && q.Conns == 0 {
			q.Group = "" // none
		}
		return q
	})
	return sum(all), err
}

func sum(all []swarm.Heard) swarm.Heard {
	s := swarm.Heard{Ends: swarm.Ends{Codes: map[int]int{}}}
	e, latency := &s.Ends, ledger.NewHistogram()
	for _, h := range all {
		s.Messages, s.Doubles, s.Missing, s.Refused = s.Messages+h.Messages, s.Doubles+h.Doubles, s.Missing+h.Missing, s.Refused+h.Refused
		s.Status, s.Gaps = max(s.Status, h.Status), s.Gaps+h.Gaps
		h.Latency.Merge(latency)
		for code, n := range h.Ends.Codes {
			e.Codes[code] += n
		}
		e.Seconds, e.Back = append(e.Seconds, h.Ends.Seconds...), append(e.Back, h.Ends.Back...)
		e.Open, e.Pings, e.Refused = e.Open+h.Ends.Open, e.Pings+h.Ends.Pings, e.Refused+h.Ends.Refused
		e.Longest = max(e.Longest, h.Ends.Longest)
	}
	s.Latency = swarm.Latency{Snapshot: latency.Export()}
	return s
}

// Say has the first worker publish with a group of its own.
func (t Team) Say(k swarm.Talk) (h swarm.Heard, err error) {
	err = t[0].call("Swarm.Talk", k, &h)
	return h, err
}

// Watch begins to count what a group of so many members hears.
func (t Team) Watch(group string, first uint32, count, members int) error {
	_, err := each[swarm.None](t, "Swarm.Watch", func(i int) any {
		_, n := t.share(members, i)
		return swarm.Args{Group: group, First: first, Count: count, Members: n, Shift: int64(t[i].Offset - t[0].Offset)}
	})
	return err
}

// Await returns when every member of a group has heard a number.
func (t Team) Await(group string, n uint32, seconds float64) error {
	return t.tell("Swarm.Await", swarm.Args{Group: group, First: n, Seconds: seconds})
}

// Heard adds up what a group has heard since Watch, and how its connections have ended. All should have heard the numbers below end, but for some.
func (t Team) Heard(group string, end uint32, but ...uint32) (swarm.Heard, error) {
	all, err := each[swarm.Heard](t, "Swarm.Heard", func(int) any { return swarm.Args{Group: group, First: end, But: but} })
	return sum(all), err
}

// Busy returns the CPU time of the busiest worker, in seconds.
func (t Team) Busy() (most float64) {
	all, _ := each[float64](t, "Worker.Busy", func(int) any { return swarm.None{} })
	for _, s := range all {
		most = max(most, s)
	}
	return most
}

func (t Team) Room() (n int) {
	for _, w := range t {
		n += w.Room
	}
	return n
}
