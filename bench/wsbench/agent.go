//go:build linux

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"wsify/bench/internal/process"
)

// agentPlan says how a crowd that is too large for one process is spread over
// several: agents are processes of this program that hold members and listen.
type agentPlan struct {
	perProcess int
	bench      *bench
	tally      *tally // counts what reached the members of an agent; nil when none is expected
}

// agentOrder is what an agent is told first, as one line of JSON.
type agentOrder struct {
	Size     int      `json:"size"`
	First    int      `json:"first"`
	Threads  int      `json:"threads"`
	Port     int      `json:"port"`
	Dialect  string   `json:"dialect"`
	Floor    bool     `json:"floor"` // the target has no dialect
	Channels channels `json:"channels"`
	Bytes    int      `json:"bytes"` // of a message; 0 when none is expected
}

// An agent says a line for each of these; what follows the word is its argument.
const (
	sayOpen  = "open"  // all members are open; thread ids
	sayReach = "reach" // the next publication has reached all its members
	sayTook  = "took"  // latencies since the last time, encoded
	sayLost  = "lost"  // the server closed a connection; why
)

// agent is the generator's side of such a process.
type agent struct {
	*child
	input io.WriteCloser
	said  *bufio.Reader
	tids  []int
	took  chan string
	work  sync.WaitGroup

	dismissed atomic.Bool // it may end
}

// sendAgents opens the members that this process cannot hold.
func (c *crowd) sendAgents(p plan) error {
	for first := len(c.members); first < p.size; first += p.fleet.perProcess {
		o := agentOrder{
			Size: min(p.fleet.perProcess, p.size-first), First: p.first + first, Threads: p.threads,
			Port: p.target.port, Floor: p.target.dialect == nil, Channels: p.channels,
		}
		if p.target.dialect != nil {
			o.Dialect = p.target.dialect.name
		}
		if p.fleet.tally != nil {
			o.Bytes = p.fleet.tally.bytes
		}
		a, err := p.fleet.bench.startAgent(o)
		if err != nil {
			return fmt.Errorf("connections %d to %d: %w", first+1, first+o.Size, err)
		}
		c.agents = append(c.agents, a)
		a.work.Go(func() { a.listen(c, p.fleet.tally) })
	}
	return nil
}

// startAgent returns when the agent's members are open.
func (b *bench) startAgent(o agentOrder) (*agent, error) {
	cmd := exec.Command(b.self, "-role", roleCrowd)
	started, input, said, err := b.startPiped(cmd)
	if err != nil {
		return nil, err
	}
	a := &agent{child: started, input: input, said: said, took: make(chan string, 1)}
	if err := a.open(o); err != nil {
		err = a.failure(err)
		a.kill()
		return nil, err
	}
	return a, nil
}

func (a *agent) open(o agentOrder) error {
	if err := json.NewEncoder(a.input).Encode(o); err != nil {
		return err
	}
	line, err := a.said.ReadString('\n')
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || word != sayOpen {
		return fmt.Errorf("an agent did not open its connections: %q, %w", line, err)
	}
	for _, tid := range strings.Fields(rest) {
		n, err := strconv.Atoi(tid)
		if err != nil {
			return err
		}
		a.tids = append(a.tids, n)
	}
	return nil
}

// listen passes on what the agent says until it ends. One that ends by itself takes
// its members with it, and the crowd fails.
func (a *agent) listen(c *crowd, t *tally) {
	defer close(a.took)
	var reached uint32
	for {
		line, err := a.said.ReadString('\n')
		if err != nil {
			if !a.dismissed.Load() {
				c.fail(a.failure(fmt.Errorf("an agent and its connections are gone: %w", err)))
			}
			return
		}
		switch word, rest, _ := strings.Cut(strings.TrimSpace(line), " "); word {
		case sayReach:
			t.count(reached)
			reached++
		case sayTook:
			a.took <- rest
		case sayLost:
			c.lost.Add(1)
			if !c.tolerant {
				c.fail(errors.New(rest))
			}
		}
	}
}

// takeLatencies adds what the agent recorded since the last time.
func (a *agent) takeLatencies(to *latencies) {
	if _, err := fmt.Fprintln(a.input, sayTook); err != nil {
		return // it ended, which the crowd was told
	}
	encoded, err := base64.StdEncoding.DecodeString(<-a.took)
	if err != nil {
		return
	}
	if counts, err := hdrhistogram.Decode(encoded); err == nil {
		to.counts.Merge(counts)
	}
}

// threadTimes returns the CPU time of each of the agent's receivers so far.
func (a *agent) threadTimes() []time.Duration {
	var times []time.Duration
	for _, tid := range a.tids {
		t, _ := process.ThreadSchedTime(a.pid(), tid) // 0 once it ended
		times = append(times, t)
	}
	return times
}

// dismiss ends the agent, which closes its connections, and waits for it.
func (a *agent) dismiss() {
	a.dismissed.Store(true)
	a.input.Close()
	a.work.Wait()
	a.kill()
}

// runAgent is the agent: it opens what it is told to and reports until its standard
// input ends.
func runAgent() error {
	if err := raiseFiles(); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o agentOrder
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	c, t, err := o.open()
	if err != nil {
		return err
	}
	defer c.close()
	var said sync.Mutex
	say := func(word, rest string) {
		said.Lock()
		defer said.Unlock()
		fmt.Println(strings.TrimSpace(word + " " + rest))
	}
	var tids []string
	for _, r := range c.receivers {
		tids = append(tids, strconv.Itoa(r.tid))
	}
	say(sayOpen, strings.Join(tids, " "))
	go func() {
		for {
			select {
			case <-t.done:
				say(sayReach, "")
			case err := <-c.failed:
				say(sayLost, err.Error())
			}
		}
	}()
	return obey(in, c, say)
}

// open opens the members of an agent.
func (o agentOrder) open() (*crowd, *tally, error) {
	to := target{port: o.Port}
	if !o.Floor {
		if to.dialect = dialectOf(o.Dialect); to.dialect == nil {
			return nil, nil, fmt.Errorf("no dialect %q", o.Dialect)
		}
	}
	t := newTally(o.Size, o.Bytes)
	t.timed.Store(true)
	p := plan{size: o.Size, first: o.First, threads: o.Threads, target: to, sources: newSources(), channels: o.Channels, message: t.message}
	if o.Bytes == 0 {
		p.message = ignore
	}
	c, err := openCrowd(p)
	return c, t, err
}

// obey answers what the agent is asked until nothing more can be.
func obey(in *bufio.Reader, c *crowd, say func(word, rest string)) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil // the generator has gone, or wants no more
		}
		if strings.TrimSpace(line) == sayTook {
			encoded, err := c.takeLatencies().counts.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
			if err != nil {
				return err
			}
			say(sayTook, base64.StdEncoding.EncodeToString(encoded))
		}
	}
}
