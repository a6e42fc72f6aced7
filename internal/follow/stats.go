package follow

import "sync/atomic"

// Results of joins from a position.
const (
	recovered = iota
	lost
	unread
	numResults
)

var (
	resultNames = [numResults]string{"recovered", "lost", "failed"}
	readNames   = [2]string{"ok", "error"}
)

type counts struct {
	recoveries [numResults]atomic.Uint64
	reads      [len(readNames)]atomic.Uint64
	gaps       atomic.Uint64
	doubles    atomic.Uint64
}

// read counts a question to the engine.
func (n *counts) read(err error) {
	if err == nil {
		n.reads[0].Add(1)
	} else {
		n.reads[1].Add(1)
	}
}

// Stats are counters since the start, and gauges. Maps have an entry for each value of their label.
type Stats struct {
	Channels   int               // gauge: that are followed
	Bytes      int64             // gauge: of the publications that are kept, or held back
	Reads      map[string]uint64 // questions to the engine, by result
	Gaps       uint64            // of channels: something cannot be given to the members
	Doubles    uint64            // publications that came again, and were not delivered
	Recoveries map[string]uint64 // joins from a position, by result
}

// Stats returns the statistics.
func (f *Follower) Stats() Stats {
	st := Stats{Reads: map[string]uint64{}, Recoveries: map[string]uint64{}, Gaps: f.counts.gaps.Load(), Doubles: f.counts.doubles.Load()}
	for i, name := range readNames {
		st.Reads[name] = f.counts.reads[i].Load()
	}
	for i, name := range resultNames {
		st.Recoveries[name] = f.counts.recoveries[i].Load()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kept, held := f.set.Kept()
	st.Channels, st.Bytes = len(f.channels), kept+held
	return st
}
