//go:build linux

package main

// warmUp is how many connections come and go before memory is counted: a server's
// first connections pay for what all share.
const warmUp = 100

// ignore takes the messages of crowds that expect none.
func ignore(*member, event) {}

// crowding is one way for connections to share channels.
type crowding struct {
	name string
	channels
	goal string
}

const oneForAll, ownEach = "one channel for all", "own channel each"

func crowdings() []crowding {
	return []crowding{
		{oneForAll, channels{Shared: true}, "<= 200"},
		{ownEach, channels{Own: 1}, ""},
		{"10 channels each", channels{Own: 10}, ""},
	}
}

// idleMemory is what one server held at rest, and with it the kernel.
type idleMemory struct {
	fresh, warmed, full memory // no connection yet; warmUp came and went; all idle
	kernel              int64  // what the kernel holds for the connections, both ends
}

// perConnection is the growth of one kind of memory, in bytes per connection.
func (b *bench) perConnection(to, from int64) float64 {
	return float64(to-from) / float64(b.connections)
}

// idle measures what an idle connection costs that joined channels: the same for
// all, one of its own, ten of its own. Contenders take turns.
func (b *bench) idle() error {
	b.progress.expect(b.idleRounds * len(crowdings()) * len(b.contenders))
	found := make(map[string]map[string][]idleMemory) // by contender and crowding
	for _, c := range b.contenders {
		found[c.name] = make(map[string][]idleMemory)
	}
	in := b.lineUp()
	for round := range b.idleRounds {
		for _, k := range crowdings() {
			for _, c := range in.turns(round) {
				m, err := b.idleServer(c, k)
				if err == nil {
					found[c.name][k.name] = append(found[c.name][k.name], m)
				}
				if err := in.judge(c.name, err); err != nil {
					return err
				}
			}
		}
	}
	for i, c := range b.contenders {
		b.addIdle(c.name, i == 0, found[c.name])
	}
	return nil
}

// addIdle records what one contender needs.
func (b *bench) addIdle(name string, tree bool, found map[string][]idleMemory) {
	r := b.record
	rss := make(map[string][]float64)
	for _, k := range crowdings() {
		var fresh, anon, pss, kernel, full []float64
		for _, m := range found[k.name] {
			rss[k.name] = append(rss[k.name], b.perConnection(m.full.RSS, m.warmed.RSS))
			fresh = append(fresh, b.perConnection(m.full.RSS, m.fresh.RSS))
			anon = append(anon, b.perConnection(m.full.Anon, m.warmed.Anon))
			pss = append(pss, b.perConnection(m.full.Pss, m.warmed.Pss))
			kernel = append(kernel, b.perConnection(m.kernel, 0))
			full = append(full, float64(m.full.RSS)/1024)
		}
		goal := ""
		if tree {
			goal = k.goal
		}
		r.add(name, "RSS per connection, "+k.name, "B", goal, rss[k.name]...)
		r.add(name, "RSS per connection, "+k.name+", over a fresh server", "B", "", fresh...)
		r.detail(name, "RssAnon per connection, "+k.name, "B", anon...)
		r.detail(name, "Pss per connection, "+k.name, "B", pss...)
		r.add(name, "kernel memory per connection, "+k.name, "B", "", kernel...)
		r.add(name, "RSS, "+k.name, "KiB", "", full...)
	}
	goal := ""
	if tree {
		goal = "<= 350"
	}
	var more []float64
	for i, own := range rss[ownEach] {
		more = append(more, own-rss[oneForAll][i])
	}
	r.add(name, "own channel over shared", "B", goal, more...)
	r.remark("kernel memory is that of both ends, which are on one machine: slab, page tables and socket buffers")
}

// idleServer takes one server from fresh to full.
func (b *bench) idleServer(c contender, k crowding) (m idleMemory, err error) {
	b.step("%s, %s: %d connections", c.name, k.name, b.connections)
	s, err := b.start(c)
	if err != nil {
		return m, err
	}
	defer s.kill()
	if m.fresh, err = b.rest(s.pid(), false); err != nil {
		return m, s.failure(err)
	}
	if err := b.warm(s, k.channels); err != nil {
		return m, s.failure(err)
	}
	if m.warmed, err = b.rest(s.pid(), true); err != nil {
		return m, s.failure(err)
	}
	before, err := readKernelMemory()
	if err != nil {
		return m, err
	}
	crowd, err := b.openIdle(s, k.channels)
	if err != nil {
		return m, s.failure(err)
	}
	defer crowd.close()
	if m.full, err = b.rest(s.pid(), true); err != nil {
		return m, s.failure(err)
	}
	after, err := readKernelMemory()
	m.kernel = after.total() - before.total()
	if err == nil {
		err = crowd.whole()
	}
	return m, s.failure(err)
}

// openIdle opens the full number of connections, which expect nothing.
func (b *bench) openIdle(s *server, join channels) (*crowd, error) {
	return openCrowd(plan{size: b.connections, threads: b.threads, target: s.target(), sources: b.sources, channels: join,
		message: ignore, fleet: &agentPlan{perProcess: b.perProcess, bench: b}})
}

// warm lets a few connections come and go.
func (b *bench) warm(s *server, join channels) error {
	c, err := openCrowd(plan{size: warmUp, threads: 1, target: s.target(), sources: b.sources, channels: join, message: ignore})
	if err != nil {
		return err
	}
	c.close()
	return nil
}

// rest waits until the memory of a process is settled; after a load not too soon,
// since servers trim their heap some seconds later.
func (b *bench) rest(pid int, loaded bool) (memory, error) {
	wait := settler{stable: b.settle, max: b.settleMax}
	if loaded {
		wait.min = b.settleMin
	}
	m, rested, err := wait.wait(pid)
	if err == nil && !rested {
		b.record.remark("memory was still moving after %v", b.settleMax)
	}
	return m, err
}
