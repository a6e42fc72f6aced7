package operate

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wsify/internal/operate/live"
)

// sampleInterval is the interval for durations that are too costly to measure each time.
const sampleInterval = time.Second

// Sampler measures durations, and makes the points of the live page. Two durations are sampled: how
// long a loop takes to run a posted task, and how long a publication takes to reach all members.
// They are taken once in an interval, and only when somebody can see them. Any goroutine may call
// its exported methods.
type Sampler struct {
	epoch   time.Time   // immutable; stamps count from here
	due     atomic.Bool // the next publication is of interest
	timed   atomic.Bool // it is to be timed
	busiest *busiest    // immutable; nil if the names of channels are not to be shown

	asking     prometheus.Histogram // calls to the authorizer, all of them
	publishing prometheus.Histogram // publications that an engine took, all of them
	fanout     prometheus.Histogram
	lag        prometheus.Histogram
	worst      atomic.Int64 // the longest lag since the last reading, in ns
	hung       atomic.Int64 // the age of the oldest question that a loop has not answered, in ns

	asked  []question // by loop; of the sampler's goroutine
	charts charts     // of the sampler's goroutine
	census census     // of the sampler's goroutine

	stopOnce sync.Once
	stopping chan struct{}
	running  sync.WaitGroup
}

// NewSampler returns a Sampler that samples nothing yet. channels says whether the live page shows
// names of channels.
func NewSampler(channels bool) *Sampler {
	s := &Sampler{
		epoch: time.Now(), stopping: make(chan struct{}),
		asking: newHistogram("authorizer_duration_seconds", "How long calls to the authorizer took.",
			.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10),
		publishing: newHistogram("broker_publish_duration_seconds", "From a publication to the engine's answer, of those that it took.",
			.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5),
		fanout: newHistogram("broadcast_fanout_seconds",
			"From the moment a publication is taken until an event loop has given it to the last of its members; of one publication a second at most.",
			.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5, 10),
		lag: newHistogram("loop_lag_seconds", "How long a task waits for its event loop; sampled once a second for each loop.",
			.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5, 10),
	}
	if channels {
		s.busiest = newBusiest()
	}
	return s
}

// newHistogram returns a histogram of both kinds: with these buckets, and native (of which each
// bucket is at most a tenth wider than the one before). The native one has 100 buckets at most:
// beyond that they get wider, and it starts anew an hour later at the earliest.
func newHistogram(name, help string, bounds ...float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: metricPrefix + name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	})
}

// Asked records the duration of a call to the authorizer.
func (s *Sampler) Asked(took time.Duration) { s.asking.Observe(took.Seconds()) }

// Lagged records how long a task waited for its loop.
func (s *Sampler) Lagged(took time.Duration) {
	s.lag.Observe(took.Seconds())
	for worst := s.worst.Load(); int64(took) > worst && !s.worst.CompareAndSwap(worst, int64(took)); {
		worst = s.worst.Load()
	}
}

// Published records how long an engine took to accept a publication.
func (s *Sampler) Published(took time.Duration) { s.publishing.Observe(took.Seconds()) }

// Start begins to sample the loops and their deliveries, and to add points to board, if it is not
// nil.
func (s *Sampler) Start(source Source, board *live.Board) {
	s.charts.board = board
	s.sample(source, time.Now())
	s.running.Go(func() {
		tick := time.NewTicker(sampleInterval)
		defer tick.Stop()
		for {
			select {
			case <-s.stopping:
				return
			case now := <-tick.C:
				s.sample(source, now)
			}
		}
	})
}

// sample is what happens once in an interval.
func (s *Sampler) sample(source Source, now time.Time) {
	s.hung.Store(int64(s.unanswered(now)))
	if s.charts.board != nil {
		s.addPoint(source, now)
	}
	s.timed.Store(true)
	s.due.Store(true)
	s.askLoops(source, now)
}

// addPoint adds a point to the live page.
func (s *Sampler) addPoint(source Source, now time.Time) {
	r := &reading{
		at: now, stats: source.Stats(), lag: time.Duration(max(s.worst.Swap(0), s.hung.Load())),
		asking: read(s.asking), publishing: read(s.publishing), fanout: read(s.fanout),
	}
	r.readProcess()
	var top []live.Channel
	if s.busiest != nil {
		top = s.busiest.interval(s.charts.board.Watched())
	}
	s.charts.add(r, func() live.Notes {
		n := live.Notes{NotReady: source.NotReady()}
		if s.busiest != nil {
			n.Channels = &live.Channels{Busiest: top, Largest: s.census.advance(source)}
		}
		return n
	})
}

// question is a sign of life that was asked of a loop.
type question struct {
	answer <-chan struct{}
	since  time.Time
}

// pending reports whether the loop has not answered.
func (q question) pending() bool {
	select {
	case <-q.answer:
		return false
	default:
		return true
	}
}

// askLoops asks each loop for a sign of life, unless it still owes one.
func (s *Sampler) askLoops(source Source, now time.Time) {
	if s.asked == nil {
		for i := range source.Loops() {
			s.asked = append(s.asked, question{source.AskLoop(i), now})
		}
		return
	}
	for i, q := range s.asked {
		if !q.pending() {
			s.asked[i] = question{source.AskLoop(i), now}
		}
	}
}

// unanswered returns the age of the oldest question that a loop has not answered.
func (s *Sampler) unanswered(now time.Time) (oldest time.Duration) {
	for _, q := range s.asked {
		if q.pending() {
			oldest = max(oldest, now.Sub(q.since))
		}
	}
	return oldest
}

// Stop stops sampling and waits until it has ended. It may be called more than once, and without
// Start.
func (s *Sampler) Stop() {
	s.stopOnce.Do(func() {
		close(s.stopping)
		s.running.Wait()
		s.census.end()
	})
}

// Stamp returns the time for a publication that has to be timed, else 0. That is the first one in
// an interval, even if it has no members to go to. For the others the cost is one look at a flag,
// unless channels are counted for the live page.
func (s *Sampler) Stamp(channel []byte) int64 {
	if !s.due.Load() {
		return 0
	}
	if s.busiest == nil || !s.busiest.note(channel) {
		s.due.Store(false)
	}
	if !s.timed.Load() || !s.timed.CompareAndSwap(true, false) {
		return 0
	}
	return int64(max(time.Since(s.epoch), 1))
}

// Delivered records a timed publication that a loop has sent to all its members.
func (s *Sampler) Delivered(stamp int64) {
	s.fanout.Observe((time.Since(s.epoch) - time.Duration(stamp)).Seconds())
}
