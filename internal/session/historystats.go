package session

import "sync/atomic"

// historyCounts count what trackers do.
type historyCounts struct {
	recoveries [numRecoveries]atomic.Uint64
	reads      [2]atomic.Uint64 // of the engine: that failed, and that succeeded
	gaps       atomic.Uint64    // of channels
	doubles    atomic.Uint64
}

var readNames = [2]string{"error", "ok"}

// addTo adds what nil trackers do not have.
func (t *trackers) addTo(st *Stats) {
	if t == nil {
		return
	}
	st.Recoveries, st.HistoryReads = map[string]uint64{}, map[string]uint64{}
	for i, name := range recoveryNames {
		add(st.Recoveries, name, &t.counts.recoveries[i])
	}
	for i, name := range readNames {
		add(st.HistoryReads, name, &t.counts.reads[i])
	}
	if m, ok := t.source.(interface{ HistoryStats() (int64, uint64) }); ok {
		st.RingBytes, st.RingsLost = m.HistoryStats()
	}
	st.HistoryGaps, st.HistoryDoubles = t.counts.gaps.Load(), t.counts.doubles.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, held := t.set.Kept()
	st.Followed, st.HistoryBytes = len(t.byName), kept+held
}
